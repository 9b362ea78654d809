"""The main job, through both doors."""

from __future__ import annotations

from gateway.v1.edit_service_pb2 import EditImageRequest
from tests.e2e.harness import key_pair, world
from tests.support.pictures import png


async def test_one_edit_through_both_doors_has_one_digest_and_is_charged_as_often_as_it_is_bought() -> (
    None
):
    picture = png(64, 48)
    async with world() as w:
        rest = await w.post("/v2/edit", [("background.color", "red")], {"imageFile": picture})
        request = EditImageRequest()
        request.edit.image_file.data = picture
        request.edit.background.color = "#F00"
        rpc = (await w.edits.EditImage(request, metadata=key_pair())).result

        assert rest.status == 200
        assert rest.headers["Content-Type"] == "image/png"
        assert rest.headers["Gateway-Digest"] == rpc.digest
        assert rest.body == rpc.image
        assert w.emulator.bill.charges == 2
