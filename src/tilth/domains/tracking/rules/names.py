"""Names for runs that were given none."""

from __future__ import annotations

from typing import Final

_ADJECTIVES: Final = """
amber ample ashen basil brave breezy bright brisk calm candid cedar civil clear clever coastal copper coral cosy crisp dapper
deep deft dewy eager early earthy easy even fair fallow fern fertile fleet fond frank fresh frosty gentle glad golden grand
green hale hardy hazel hearty honest humble indigo ivory jolly keen kind late leafy level light lively loamy lucid lunar
mellow merry mild misty modest mossy neat nimble noble olive open patient placid plain proud quick quiet rapid rare ready
ripe robust rosy rustic sage sandy scarlet serene silent silver sleek slow smooth snug solar solid spry stable steady still
stout subtle sunny sure swift tall tame tidy tranquil true umber upland vast verdant vivid warm wild windy wise young
"""

_PLANTS: Final = """
acacia alder almond apple apricot ash aspen aster balsam bamboo barley bay beech birch bracken bramble briar broom cacao
carrot cedar cherry chestnut chicory clover cotton cress currant cypress dahlia daisy date dill elder elm fennel fern fig
flax foxglove gorse grape hawthorn hazel heather hemp hickory holly hop iris ivy juniper kale larch laurel lavender leek
lentil lilac lily linden lotus lupin maize mallow maple marigold millet mint moss mulberry myrtle nettle oak oat olive orchid
palm parsley peach pear pea pine plum poplar poppy quince radish reed rice rose rosemary rowan rye sage sedge sorrel spruce
squash sumac thistle thyme tulip vetch vine violet walnut wheat willow yarrow yew
"""

ADJECTIVES: Final = tuple(_ADJECTIVES.split())
PLANTS: Final = tuple(_PLANTS.split())


def invented_name(seed: str) -> str:
    """Such as `vivid-maple-17`. seed: hexadecimal text whose last 12 digits are random, such as a run id; equal seeds give equal names."""
    number = int(seed[-12:], 16)
    number, adjective = divmod(number, len(ADJECTIVES))
    number, plant = divmod(number, len(PLANTS))
    return f"{ADJECTIVES[adjective]}-{PLANTS[plant]}-{number % 100}"
