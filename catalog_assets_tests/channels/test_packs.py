"""Channel packs: dated rules with sources, the user's own files, and errors a person can act on."""

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_assets.channels.packs import PackError, load_packs
from catalog_assets.channels.rule import LISTING_FIELDS, QC_FIELDS

TODAY = date(2026, 11, 21)
PACKS = load_packs()

MINE = """
name = "my.shop"
title = "My shop"
as_of = 2026-11-01
[listing]
names = { main = "{id}.{ext}", additional = "{id}-{n}.{ext}" }
[[rules]]
id = "size"
says = "Wide pictures."
sets = "min_px"
value = [800, 600]
rule = "resolution"
severity = "block"
as_of = 2026-11-01
effective_from = "unknown"
source = "https://my.shop/rules"
confidence = "H"
"""


def test_the_three_channels_of_every_shop_are_on_and_the_others_wait_to_be_asked_for() -> None:
    assert {n for n, p in PACKS.items() if p.on_by_default} == {"amazon.main", "google.shopping", "shopify"}
    assert {"walmart", "ebay", "etsy", "zalando", "otto", "meta.catalog", "tiktok.shop"} < set(PACKS)


def test_every_rule_says_when_it_was_read_where_and_how_sure_we_are() -> None:
    for pack in PACKS.values():
        assert pack.all_rules
        for rule in pack.all_rules:
            assert rule.as_of <= TODAY
            assert rule.says.endswith(".")
            for source in (pack.source_of(rule), *(pack.sources[p.source] for p in rule.positions)):
                assert source.startswith(("https://", "general knowledge"))


def test_amazon_wants_a_pure_white_main_picture_and_lets_the_others_be() -> None:
    main = PACKS["amazon.main"].rules(TODAY)
    assert main.kind == "main"
    assert main.background_rgb == (255, 255, 255)
    assert main.fill_min == 0.85
    assert main.severity("fill") == "block"
    assert not main.text_allowed
    assert not main.shadow_at_edge_allowed
    other = PACKS["amazon.main"].rules(TODAY, role="additional")
    assert other.kind == "any"
    assert other.background_rgb is None
    assert other.fill_min is None
    assert other.text_allowed
    assert other.max_px == (10000, 10000)


@pytest.mark.parametrize("role", ["main", "additional"])
@pytest.mark.parametrize(
    ("day", "kitchen", "hats"),
    [("2026-11-21", 100, 250), ("2027-01-30", 100, 250), ("2027-01-31", 500, 500), ("2030-01-01", 500, 500)],
)
def test_googles_smallest_size_changes_on_the_last_of_january(role, day, kitchen, hats) -> None:
    google, on = PACKS["google.shopping"], date.fromisoformat(day)
    assert google.rules(on, "Kitchen > Mugs", role).min_px == (kitchen, kitchen)
    assert google.rules(on, "Clothing > Hats", role).min_px == (hats, hats)


def test_a_coming_change_is_announced_between_its_warning_and_its_first_day() -> None:
    google = PACKS["google.shopping"]
    assert {r.id for r in google.upcoming(TODAY)} == {"main.min-px-2027", "additional.min-px-2027"}
    assert not google.upcoming(date(2026, 4, 13))
    assert not google.upcoming(date(2027, 1, 31))


@given(day=st.dates(date(2000, 1, 1), date(2100, 1, 1)), name=st.sampled_from(sorted(PACKS)))
def test_on_any_day_a_rule_in_force_has_begun_and_nothing_newer_was_passed_over(day: date, name: str) -> None:
    pack = PACKS[name]
    for sets, rule in pack.in_force(day).items():
        assert rule.in_force(day)
        later = [
            r
            for r in pack.all_rules
            if r.sets == sets
            and "main" in r.applies_to
            and not r.categories
            and r.in_force(day)
            and r.effective_from != "unknown"
            and (rule.effective_from == "unknown" or r.effective_from > rule.effective_from)
        ]
        assert not later
    pack.rules(day)


def test_sources_that_disagree_stay_on_record_and_the_stricter_limit_is_kept_to() -> None:
    shopify = PACKS["shopify"]
    (conflict,) = shopify.conflicts
    assert {tuple(p.value) for p in conflict.positions} == {(4472, 4472), (5000, 5000)}
    assert shopify.rules(TODAY).max_px == (4472, 4472)
    disclosure = PACKS["amazon.main"].by_id["ai-disclosure"]
    assert disclosure.is_conflict
    assert disclosure.confidence == "L"
    assert not disclosure.sets


def test_a_file_beside_the_inventory_adds_a_channel() -> None:
    packs = load_packs({"channels/mine.toml": MINE})
    assert packs["my.shop"].rules(TODAY).min_px == (800, 600)
    assert set(packs) == {*PACKS, "my.shop"}


def test_a_file_with_a_known_name_changes_only_what_it_names() -> None:
    own = """
    name = "amazon.main"
    [listing]
    fill = 0.92
    [[rules]]
    id = "main.fill"
    value = 0.9
    effective_from = 2026-12-01
    as_of = 2026-11-20
    """
    changed = load_packs({"channels/amazon.toml": own})["amazon.main"]
    built_in = PACKS["amazon.main"]
    assert changed.listing.fill == 0.92
    assert changed.listing.name_pattern == built_in.listing.name_pattern
    assert changed.rules(date(2026, 12, 1)).fill_min == 0.9
    assert changed.by_id["main.fill"].source == built_in.by_id["main.fill"].source
    assert len(changed.all_rules) == len(built_in.all_rules)
    assert changed.rules(date(2026, 12, 1) - timedelta(1)).fill_min is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[[rules]]", "[[rules"), ["channels/mine.toml", "not valid TOML"]),
        (('name = "my.shop"\n', ""), ["channels/mine.toml", "'name' is missing"]),
        (('"my.shop"', '"My Shop!"'), ["name", "pattern"]),
        (('sets = "min_px"', 'sets = "min_pixel"'), ["rule 'size'", "min_pixel", "did you mean 'min_px'"]),
        (("[800, 600]", '"large"'), ["rule 'size'", "'large'", "[width, height]"]),
        (('rule = "resolution"', 'rule = "resolutions"'), ["'resolutions'", "did you mean 'resolution'"]),
        (("as_of = 2026-11-01\neffective", "effective"), ["rule 'size'", "as_of is missing"]),
        (('"{id}-{n}.{ext}"', '"{id}-{number}.{ext}"'), ["{number}", "known are"]),
        (('"{id}.{ext}"', '"x/{id}.{ext}"'), ["may not hold folders"]),
        (("[listing]", "[listing]\nqualiti = 3"), ["listing qualiti", "did you mean 'quality'"]),
        (('"https://my.shop/rules"', '"handbook"'), ["'handbook'", "[sources]"]),
        (("[listing]", '[listing]\nframe = "square"'), ["'square'", "1:1"]),
        (
            ("[listing]", '[listing]\nsource_types = { trainedAlgorithmicMedia = "digitalCapture" }'),
            ["hide how the picture was made"],
        ),
        (("[listing]", "[listing]\nname_pattern = '('"), ["not a regular expression"]),
    ],
)
def test_a_wrong_file_is_named_with_place_and_remedy(change: tuple[str, str], words: list[str]) -> None:
    with pytest.raises(PackError) as caught:
        load_packs({"channels/mine.toml": MINE.replace(*change, 1)})
    for word in words:
        assert word in str(caught.value)


def test_the_files_shown_in_the_documentation_work_as_they_are() -> None:
    text = (Path(__file__).parents[2] / "docs" / "channels.md").read_text(encoding="utf-8")
    own, change = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    packs = load_packs({"channels/my-shop.toml": own, "channels/amazon.toml": change})
    shop = packs["my.shop"]
    assert shop.rules(date(2027, 2, 28), "Clothing > Hats").min_px == (1000, 1250)
    assert shop.rules(date(2027, 3, 1), "Clothing > Hats").min_px == (1600, 2000)
    assert packs["amazon.main"].rules(TODAY).max_bytes == 5_000_000
    for name in (*QC_FIELDS, *LISTING_FIELDS):
        assert f"`{name}`" in text, f"docs/channels.md does not say what {name} is"
    for pack in PACKS:
        assert f"`{pack}`" in text
