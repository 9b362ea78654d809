"""The longer enumerations of the specification, and what its presets mean in degrees."""

from types import MappingProxyType

from gateway.emulator.kinds import Choice
from gateway.emulator.measures import NumberOr

__all__ = [
    "DIRECTIONS",
    "MODELS",
    "MODEL_SIZES",
    "POSES",
    "PROMPT_SIZES",
    "SCENES",
    "SHADOWS",
    "SPREADS",
    "SUBJECT_POSES",
]

MODEL_SIZES = Choice(
    (
        "PORTRAIT_HD_16_9",
        "PORTRAIT_HD_4_3",
        "PORTRAIT_HD_3_2",
        "SQUARE_HD",
        "LANDSCAPE_HD_3_2",
        "LANDSCAPE_HD_4_3",
        "LANDSCAPE_HD_16_9",
    )
)
PROMPT_SIZES = Choice(
    ("LANDSCAPE_16_9", "LANDSCAPE_4_3", "PORTRAIT_16_9", "PORTRAIT_4_3", "SQUARE_HD")
)
MODELS = Choice(
    (
        "avery",
        "sam",
        "taylor",
        "kendall",
        "jordan",
        "casey",
        "alex",
        "maya",
        "reece",
        "lena",
        "julia",
        "jackson",
        "sophia",
        "emma",
        "ava",
        "zoe",
        "fiona",
    )
)
SCENES = Choice(
    (
        "random",
        "street",
        "bedroom",
        "sunset",
        "factory",
        "studio",
        "coloredstudio",
        "concretestudio",
        "beach",
        "tropical",
        "library",
        "forest",
        "businessdistrict",
        "countryside",
        "flowers",
        "goldenlight",
        "mountain",
        "pool",
        "latincity",
        "cafe",
        "asiancity",
        "nightlights",
        "desert",
    )
)
POSES = Choice(
    (
        "random",
        "standing",
        "34turn",
        "powerstance",
        "walkingforward",
        "handinpocket",
        "crossedarms",
        "back",
        "overtheshoulder",
        "seated",
        "adjustingclothing",
        "playfulspin",
    )
)
DIRECTIONS = NumberOr(
    MappingProxyType(
        {
            "behind": 0.0,
            "behindLeft": 45.0,
            "left": 90.0,
            "frontLeft": 135.0,
            "front": 180.0,
            "frontRight": 225.0,
            "right": 270.0,
            "behindRight": 315.0,
        }
    )
)
SPREADS = NumberOr(MappingProxyType({"short": 10.0, "medium": 45.0, "long": 90.0}))
SUBJECT_POSES = NumberOr(MappingProxyType({"flatlay": 0.0, "upright": 90.0}))
SHADOWS = Choice(
    (
        "ai.soft",
        "ai.hard",
        "ai.floating",
        "ai.preset-soft",
        "ai.preset-hard",
        "ai.auto-with-overrides",
    )
)
