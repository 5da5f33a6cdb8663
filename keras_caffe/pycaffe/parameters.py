"""The parameters of a pycaffe net: as blobs, from and to files, shared with other nets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from keras_caffe.converters import weights as weight_files
from keras_caffe.converters.infer import Plan
from keras_caffe.converters.share import Slot
from keras_caffe.converters.write import write_caffemodel
from keras_caffe.errors import ShapeError, WeightsError
from keras_caffe.named import Named
from keras_caffe.pycaffe.blob import NetBlob, ParamMemory
from keras_caffe.pycaffe.layer import Layer

Path = str | os.PathLike[str]


class Parameters:
    """What Net offers for its parameters."""

    def _make_params(self, planned: Plan) -> None:
        """The blobs of all layers; a blob that an earlier layer owns is the same memory."""
        self._plan = planned
        self._params: dict[Slot, NetBlob] = {}
        for index, step in enumerate(planned.steps):
            for number, held in enumerate(step.layer.caffe_blobs if step.layer else ()):
                slot = (index, number)
                owner = self._params.get(planned.owners.get(slot, slot))
                memories = (owner.data_memory, owner.diff_memory) if owner else (ParamMemory(held), None)
                self._params[slot] = NetBlob(held.blob.shape, *memories)
        self.layers = [Layer(n.name, n.type, self._blobs_of(n.index)) for n in planned.net.nodes]
        self.layer_dict = Named("layer", ((layer.name, layer) for layer in self.layers))
        parameters = ((layer.name, layer.blobs) for layer in self.layers if layer.blobs)
        self.params = Named("layer with parameters", parameters)

    def _blobs_of(self, node: int) -> list[NetBlob]:
        return [blob for (index, _), blob in self._params.items() if index == node]

    def _held(self) -> dict[int, dict[int, Any]]:
        """{node: {blob: what holds it}}."""
        steps = enumerate(self._plan.steps)
        return {index: dict(enumerate(step.layer.caffe_blobs)) for index, step in steps if step.layer is not None}

    def _push(self) -> None:
        """What was written into the arrays goes into the variables."""
        for blob in self._params.values():
            blob.data_memory.push()

    def _pull(self, start: int, end: int) -> None:
        """What a forward pass of these layers changed goes into the arrays: statistics, and what Python layers like."""
        for (index, number), blob in self._params.items():
            step = self._plan.steps[index]
            changes = step.node.type == "Python" or not step.blobs[number].trainable
            if start <= index <= end and changes:
                blob.data_memory.pull()

    def copy_from(self, *files: Path) -> Any:
        """Loads caffemodels (binary or HDF5) by layer name; layers that they do not have keep their values.

        Returns:
            Which layers were loaded, skipped, or left as they were.
        """
        self._push()
        arrays, self.load_report = weight_files.match(self._plan, files)
        for index, found in arrays.items():
            for number, stored in found.items():
                self._plan.steps[index].layer.caffe_blobs[number].read(stored)
                self._params[index, number].data_memory.pull()
        return self.load_report

    load_hdf5 = copy_from

    def save(self, filename: Path, write_diff: bool = False) -> None:
        """Writes a binary caffemodel, as Caffe does: all layers, Splits included, with their blobs."""
        self._save(filename, write_diff, hdf5=False)

    def save_hdf5(self, filename: Path, write_diff: bool = False) -> None:
        """Writes an HDF5 caffemodel."""
        self._save(filename, write_diff, hdf5=True)

    def _save(self, filename: Path, write_diff: bool, hdf5: bool) -> None:
        params = [[blob.data for blob in layer.blobs] for layer in self.layers]
        diffs = [[blob.diff for blob in layer.blobs] for layer in self.layers] if write_diff else None
        net = self._plan.net.message
        write_caffemodel(filename, net, params, diffs=diffs, shared=self._plan.owners, hdf5=hdf5)

    def share_with(self, other: Parameters) -> None:
        """Uses another net's parameters from now on, for all layers of the same name: a change in one is one in both.

        Raises:
            WeightsError: a layer has other blobs there.
        """
        self._push()
        theirs = {step.node.name: index for index, step in reversed(list(enumerate(other._plan.steps)))}
        held, common = self._held(), {}
        for index, step in enumerate(self._plan.steps):
            source = theirs.get(step.node.name)
            if step.blobs and source is not None:
                held[index] = _same_blobs(step, other._held().get(source, {}))
                common.update({(index, n): other._params[source, n] for n in held[index]})
        self._plan_again(held)
        for slot, blob in common.items():
            self._params[slot].data_memory = blob.data_memory

    def _plan_again(self, held: Mapping[int, Mapping[int, Any]]) -> None:
        """Plans the net for its inputs' shapes, its parameters held by what is given."""
        raise NotImplementedError

    def clear_param_diffs(self) -> None:
        """Sets the diffs of all parameters to 0."""
        for blob in self._params.values():
            blob.diff[...] = 0


def _same_blobs(step: Any, held: Mapping[int, Any]) -> Mapping[int, Any]:
    wanted, found = ([tuple(blob.shape) for blob in blobs] for blobs in (step.blobs, [h.blob for h in held.values()]))
    if wanted != found:
        problem = "the other net's layer has other blobs"
        raise WeightsError(problem, layer=repr(step.node.name), expected=wanted, received=found)
    return held


def check_params(old: Plan, new: Plan) -> None:
    """Raises ShapeError if a net, planned for other inputs, would need other parameters."""
    for before, after in zip(old.steps, new.steps, strict=True):
        wanted, found = ([tuple(blob.shape) for blob in step.blobs] for step in (before, after))
        if wanted != found:
            raise ShapeError(
                "the new input shapes would change the shape of parameters",
                layer=f"{after.node.name!r} ({after.node.type})",
                expected=wanted,
                received=found,
            )
