"""The parameters of a pycaffe net: as blobs, from and to files, shared with other nets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from keras_caffe.converters import weights as weight_files
from keras_caffe.converters.graph import Node
from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.converters.share import Slot
from keras_caffe.converters.write import write_caffemodel
from keras_caffe.errors import WeightsError
from keras_caffe.layers import Python
from keras_caffe.layers.base import Blob, BoundBlob
from keras_caffe.named import Named
from keras_caffe.ops.python_layer import BlobVec, PythonBlob, Runner
from keras_caffe.pycaffe.blob import Memory, NetBlob, ParamBlob, ParamMemory, of_a_net
from keras_caffe.pycaffe.layer import Layer
from keras_caffe.shapes import Sizes, count

FileName = str | os.PathLike[str]

RENAME = "Rename the layer to leave it as it is."


class Parameters:
    """What Net offers for its parameters."""

    layers: list[Any]
    layer_dict: Named[Any]
    load_report: weight_files.Report

    def _make_params(self, planned: Plan) -> None:
        """The blobs of all layers; a blob that an earlier layer owns is the same memory.

        Those in `_params` are the net's for its whole life, and what a solver trains; a layer works with those in its
        vector, among which a script may put others.
        """
        self.plan = planned
        self._params: dict[Slot, ParamBlob] = {}
        for index in planned.layers:
            for number, bound in enumerate(planned.bound_blobs(index)):
                slot = (index, number)
                owner = self._params.get(planned.owners.get(slot, slot))
                memories = (owner.data_memory, owner.diff_memory) if owner else (ParamMemory(bound),)
                self._params[slot] = ParamBlob(bound.blob.shape, *memories)
        nodes = planned.net.nodes
        self.layers = [self._layer(node) for node in nodes]
        self.layer_dict = Named("layer", ((n.name, layer) for n, layer in zip(nodes, self.layers, strict=True)))

    @cached_property
    def params(self) -> Named[BlobVec]:
        """The blobs of each layer that has some when a script first asks for them."""
        nodes = self.plan.net.nodes
        blobs = ((n.name, layer.blobs) for n, layer in zip(nodes, self.layers, strict=True) if len(layer.blobs))
        return Named("layer with parameters", blobs)

    def _layer(self, node: Node) -> Any:
        """What a script sees of a layer: the object itself, where the script has written the class."""
        own = [blob for (index, _), blob in self._params.items() if index == node.index]
        runner = self._runner(node.index)
        if runner is None:
            layer: Any = Layer(node.name, node.type, BlobVec(own))
        else:
            layer = runner.layer
            for number, (added, blob) in enumerate(zip(layer.blobs, own, strict=True)):
                arrays = added.move_to(blob)  # for a script that has kept what setup has added, or its arrays
                if (node.index, number) not in self.plan.owners:
                    for memory, array in zip((blob.data_memory, blob.diff_memory), arrays, strict=True):
                        memory.adopt(array)
            layer.blobs[:] = own
        layer.blobs.take = partial(self._taken, node.index)
        return layer

    def _runner(self, node: int) -> Runner | None:
        planned = self.plan.layers.get(node)
        return planned.layer.runner if planned and isinstance(planned.layer, Python) else None

    def _taken(self, node: int, blobs: Sequence[Any]) -> list[NetBlob]:
        """The blobs that a layer has from now on; one of Keras's layers computes with them, too."""
        for number, blob in enumerate(blobs):
            if not isinstance(blob, (NetBlob, PythonBlob)):
                raise self._misfit(node, number, type(blob).__name__, "a blob")
        taken = [of_a_net(blob) if isinstance(blob, PythonBlob) else blob for blob in blobs]
        planned = self.plan.layers.get(node)
        if planned and not self._runner(node):
            self._compute_with(node, planned, taken)
        return taken

    def _compute_with(self, node: int, planned: PlannedLayer, blobs: Sequence[NetBlob]) -> None:
        used = dict(enumerate(planned.layer.caffe_blobs))
        for number in used:
            own, blob = self._params[node, number], blobs[number] if number < len(blobs) else None
            if not isinstance(blob, ParamBlob) or blob.count != own.count:
                raise self._misfit(node, number, blob.shape if blob else "nothing", own.shape)
            used[number] = blob.data_memory.bound
        self.push_params(node, node)
        self._use({node: used})

    def _misfit(self, node: int, number: int, received: Any, expected: Any) -> WeightsError:
        problem, layer = f"blob {number} cannot be replaced by this", repr(self.plan.net.nodes[node].name)
        fix = "Assign a blob of another layer, of as many values, or copy values into `.data[...]`."
        return WeightsError(problem, layer=layer, expected=expected, received=received, fix=fix)

    def own_params(self) -> list[ParamBlob]:
        """The blobs that no other layer owns, in Caffe's order."""
        return [blob for slot, blob in self._params.items() if slot not in self.plan.owners]

    def push_params(self, start: int = 0, end: int | None = None) -> None:
        """What was written into the arrays of layers start..end goes into the variables."""
        last = len(self.layers) if end is None else end
        own = [blob for (index, _), blob in self._params.items() if start <= index <= last]
        held = [blob for layer in self.layers[start : last + 1] for blob in layer.blobs if isinstance(blob, ParamBlob)]
        for memory in {id(blob.data_memory): blob.data_memory for blob in [*own, *held]}.values():
            memory.push()

    def _pull(self, start: int, end: int) -> None:
        """What a forward pass of these layers changed goes into the arrays: statistics and the like."""
        for index, number in self._params:
            planned = self.plan.layers[index]
            changes = planned.layer.overwrites_blobs or not planned.blobs[number].trainable
            if start <= index <= end and changes:
                self.layers[index].blobs[number].data_memory.pull()

    def copy_from(self, *files: FileName) -> Any:
        """Loads caffemodels (binary or HDF5) by layer name; layers that they do not have keep their values.

        Returns:
            Which layers were loaded or left as they were.

        Raises:
            ReadError: a file is missing or broken.
            WeightsError: a layer has another number of blobs or other shapes than in the file; nothing is set then.
        """
        self.push_params()
        try:
            arrays, self.load_report = weight_files.match(self.plan, files, changed=self._changed())
        except WeightsError as error:  # Caffe's way round a layer that does not fit; pycaffe has no skip_mismatch.
            error.fix = [RENAME if cure is weight_files.SKIP else cure for cure in error.cures]
            raise
        for index, matched in arrays.items():
            for number, stored in matched.items():
                blob = self._blob_at(index, number)
                if isinstance(blob, ParamBlob) and count(stored.shape) == count(blob.data_memory.bound.blob.shape):
                    memory = blob.data_memory  # another net's, where it is shared
                    memory.bound.read(replace(stored, shape=memory.bound.blob.shape))  # there of another shape, perhaps
                    memory.pull()
                else:
                    blob.data[...] = replace(stored, shape=blob.shape).copy()
        return self.load_report

    load_hdf5 = copy_from

    def _changed(self) -> dict[int, list[Blob]]:
        """{node: its blobs} where a script has added some, or a Python layer has others than it was made with."""
        changed = {}
        for index, planned in self.plan.layers.items():
            vector, made = self.layers[index].blobs, planned.blobs
            kept = 0 if self._runner(index) else len(made)
            as_made = len(vector) == len(made) and all(
                vector[n] is self._params[index, n] and vector[n].shape == tuple(made[n].shape)
                for n in range(kept, len(made))
            )
            if not as_made:
                added = [Blob(f"blob {n}", vector[n].shape) for n in range(kept, len(vector))]
                changed[index] = [*made[:kept], *added]
        return changed

    def _blob_at(self, index: int, number: int) -> Any:
        """A layer's blob, or the net's where the layer has dropped one that others share."""
        blobs = self.layers[index].blobs
        return blobs[number] if number < len(blobs) else self._params[index, number]

    def save(self, filename: FileName, write_diff: bool = False) -> None:
        """Writes a binary caffemodel, as Caffe does: all layers, Splits included, with their blobs."""
        self._save(filename, write_diff, hdf5=False)

    def save_hdf5(self, filename: FileName, write_diff: bool = False) -> None:
        """Writes an HDF5 caffemodel."""
        self._save(filename, write_diff, hdf5=True)

    def _save(self, filename: FileName, write_diff: bool, hdf5: bool) -> None:
        params = [[blob.data for blob in layer.blobs] for layer in self.layers]
        diffs = [[blob.diff for blob in layer.blobs] for layer in self.layers] if write_diff else None
        net = self.plan.net.message
        write_caffemodel(filename, net, params, diffs=diffs, shared=self.plan.owners, hdf5=hdf5)

    def share_with(self, other: Parameters) -> None:
        """Uses another net's parameters from now on, for all layers of the same name: a change in one is one in both.

        Raises:
            WeightsError: a layer has other blobs there.
        """
        self.push_params()
        theirs = {node.name: node.index for node in reversed(other.plan.net.nodes)}
        bound, common = {}, {}
        for index, planned in self.plan.layers.items():
            source = theirs.get(planned.node.name)
            if source is None or not (planned.blobs or self._runner(index)):
                continue
            if self._runner(index) or other._runner(source):  # It has its blobs, those of by now, instead of variables.
                mine, others = self.layers[index].blobs, other.layers[source].blobs
                _check_same(planned, [blob.shape for blob in mine], [blob.shape for blob in others])
            else:
                mine, others = planned.blobs, other.plan.bound_blobs(source)
                _check_same(planned, [blob.shape for blob in mine], [shared.blob.shape for shared in others])
            if not self._runner(index):
                bound[index] = dict(enumerate(other.plan.bound_blobs(source)))
            common.update({(index, n): other.layers[source].blobs[n] for n in range(len(mine))})
        self._use(bound)
        for (index, number), blob in common.items():
            self._share(index, number, blob.data_memory)

    def _share(self, index: int, number: int, memory: Memory) -> None:
        blobs = self.layers[index].blobs
        if isinstance(blobs[number], ParamBlob) and not isinstance(memory, ParamMemory):  # what no variable holds
            blobs[number] = NetBlob(blobs[number].shape, memory, blobs[number].diff_memory)
        else:
            blobs[number].data_memory = memory

    def _use(self, bound: Mapping[int, Mapping[int, BoundBlob]]) -> None:
        """Lets layers use other blobs, {node: blobs}, from now on."""
        raise NotImplementedError

    def clear_param_diffs(self) -> None:
        """Sets the diffs of all parameters to 0."""
        for blob in self._params.values():
            blob.diff[...] = 0


def _check_same(planned: PlannedLayer, mine: Iterable[Sizes], theirs: Iterable[Sizes]) -> None:
    mine, theirs = ([tuple(shape) for shape in shapes] for shapes in (mine, theirs))
    if mine != theirs:
        problem = "the other net's layer has other blobs"
        raise WeightsError(problem, layer=repr(planned.node.name), expected=mine, received=theirs)
