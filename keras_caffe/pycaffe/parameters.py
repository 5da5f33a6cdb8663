"""The parameters of a pycaffe net: as blobs, from and to files, shared with other nets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from keras_caffe.converters import weights as weight_files
from keras_caffe.converters.graph import Node
from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.converters.share import Slot
from keras_caffe.converters.write import write_caffemodel
from keras_caffe.errors import WeightsError
from keras_caffe.layers import Python
from keras_caffe.layers.base import BoundBlob
from keras_caffe.named import Named
from keras_caffe.pycaffe.blob import BlobVec, ParamBlob, ParamMemory
from keras_caffe.pycaffe.layer import Layer

FileName = str | os.PathLike[str]

RENAME = "Rename the layer to leave it as it is."


class Parameters:
    """What Net offers for its parameters."""

    layers: list[Any]
    layer_dict: Named[Any]
    params: Named[list[ParamBlob]]
    load_report: weight_files.Report

    def _make_params(self, planned: Plan) -> None:
        """The blobs of all layers; a blob that an earlier layer owns is the same memory."""
        self.plan = planned
        self._params: dict[Slot, ParamBlob] = {}
        for index in planned.layers:
            for number, bound in enumerate(planned.bound_blobs(index)):
                slot = (index, number)
                owner = self._params.get(planned.owners.get(slot, slot))
                memories = (owner.data_memory, owner.diff_memory) if owner else (ParamMemory(bound),)
                self._params[slot] = ParamBlob(bound.blob.shape, *memories)
        nodes = planned.net.nodes
        held = [BlobVec(self._blobs_of(node.index), partial(self._replace, node.index)) for node in nodes]
        self.layers = [self._layer(node, blobs) for node, blobs in zip(nodes, held, strict=True)]
        self.layer_dict = Named("layer", ((n.name, layer) for n, layer in zip(nodes, self.layers, strict=True)))
        blobs = ((node.name, blobs) for node, blobs in zip(nodes, held, strict=True) if blobs)
        self.params = Named("layer with parameters", blobs)

    def _layer(self, node: Node, blobs: BlobVec) -> Any:
        """What a script sees of a layer: the object itself, where the script has written the class."""
        planned = self.plan.layers.get(node.index)
        if planned is None or not isinstance(planned.layer, Python):
            return Layer(node.name, node.type, blobs)
        runner = planned.layer.runner
        for number, (added, blob) in enumerate(zip(runner.blobs, blobs, strict=True)):
            arrays = added.move_to(blob)  # for a script that has kept what setup has added, or its arrays
            if (node.index, number) not in self.plan.owners:
                for memory, array in zip((blob.data_memory, blob.diff_memory), arrays, strict=True):
                    memory.adopt(array)
        runner.blobs[:] = blobs  # the net's own from now on
        return runner.layer

    def _blobs_of(self, node: int) -> list[ParamBlob]:
        return [blob for (index, _), blob in self._params.items() if index == node]

    def _replace(self, node: int, number: int, blob: Any) -> None:
        """Uses another blob from now on in place of one that a layer has."""
        planned, own = self.plan.layers[node], self._params[node, number]
        if not isinstance(blob, ParamBlob) or blob.count != own.count:
            problem = f"blob {number} cannot be replaced by this"
            fix = "Assign a blob of another layer, of as many values, or copy values into `.data[...]`."
            received = blob.shape if isinstance(blob, ParamBlob) else type(blob).__name__
            layer = repr(planned.node.name)
            raise WeightsError(problem, layer=layer, expected=own.shape, received=received, fix=fix)
        self.push_params(node, node)
        if isinstance(planned.layer, Python):
            planned.layer.runner.blobs[number] = blob
        else:
            self._use({node: {**dict(enumerate(planned.layer.caffe_blobs)), number: blob.data_memory.bound}})
        self._params[node, number] = blob

    def own_params(self) -> list[ParamBlob]:
        """The blobs that no other layer owns, in Caffe's order."""
        return [blob for slot, blob in self._params.items() if slot not in self.plan.owners]

    def push_params(self, start: int = 0, end: int | None = None) -> None:
        """What was written into the arrays of layers start..end goes into the variables."""
        last = len(self.layers) if end is None else end
        for (index, _), blob in self._params.items():
            if start <= index <= last:
                blob.data_memory.push()

    def _pull(self, start: int, end: int) -> None:
        """What a forward pass of these layers changed goes into the arrays: statistics and the like."""
        for (index, number), blob in self._params.items():
            planned = self.plan.layers[index]
            changes = planned.layer.overwrites_blobs or not planned.blobs[number].trainable
            if start <= index <= end and changes:
                blob.data_memory.pull()

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
            arrays, self.load_report = weight_files.match(self.plan, files)
        except WeightsError as error:  # Caffe's way round a layer that does not fit; pycaffe has no skip_mismatch.
            error.fix = [RENAME if cure is weight_files.SKIP else cure for cure in error.cures]
            raise
        for index, matched in arrays.items():
            for number, stored in matched.items():
                memory = self._params[index, number].data_memory  # another net's, where it is shared
                memory.bound.read(replace(stored, shape=memory.bound.blob.shape))  # and there of another shape, perhaps
                memory.pull()
        return self.load_report

    load_hdf5 = copy_from

    def save(self, filename: FileName, write_diff: bool = False) -> None:
        """Writes a binary caffemodel, as Caffe does: all layers, Splits included, with their blobs."""
        self._save(filename, write_diff, hdf5=False)

    def save_hdf5(self, filename: FileName, write_diff: bool = False) -> None:
        """Writes an HDF5 caffemodel."""
        self._save(filename, write_diff, hdf5=True)

    def _save(self, filename: FileName, write_diff: bool, hdf5: bool) -> None:
        blobs = [self._blobs_of(node.index) for node in self.plan.net.nodes]
        params = [[blob.data for blob in held] for held in blobs]
        diffs = [[blob.diff for blob in held] for held in blobs] if write_diff else None
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
            if planned.blobs and source is not None:
                blobs = _same_blobs(planned, other.plan.bound_blobs(source))
                common.update({(index, n): other._params[source, n] for n in blobs})
                if not isinstance(planned.layer, Python):  # It has its blobs in place of variables.
                    bound[index] = blobs
        self._use(bound)
        for slot, blob in common.items():
            self._params[slot].data_memory = blob.data_memory

    def _use(self, bound: Mapping[int, Mapping[int, BoundBlob]]) -> None:
        """Lets layers use other blobs, {node: blobs}, from now on."""
        raise NotImplementedError

    def clear_param_diffs(self) -> None:
        """Sets the diffs of all parameters to 0."""
        for blob in self._params.values():
            blob.diff[...] = 0


def _same_blobs(planned: PlannedLayer, shared: Sequence[BoundBlob]) -> dict[int, BoundBlob]:
    mine = [tuple(blob.shape) for blob in planned.blobs]
    theirs = [tuple(bound.blob.shape) for bound in shared]
    if mine != theirs:
        problem = "the other net's layer has other blobs"
        raise WeightsError(problem, layer=repr(planned.node.name), expected=mine, received=theirs)
    return dict(enumerate(shared))
