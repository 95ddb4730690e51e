"""Money: whole numbers of minor units, with a currency. No floats, no conversion."""

ZERO_DECIMAL = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
"""Currencies whose minor unit is the unit itself, as Stripe treats them (its page on currencies)."""
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])


def exponent(currency: str) -> int:
    """How many decimal places Stripe's amounts in `currency` (ISO code, any case) stand for."""
    code = currency.lower()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


def format_money(amount_minor: int, currency: str) -> str:
    """`(123456, "eur")` as `1,234.56 EUR`."""
    places = exponent(currency)
    sign = "-" if amount_minor < 0 else ""
    whole, fraction = divmod(abs(amount_minor), 10**places)
    digits = f"{whole:,}" if places == 0 else f"{whole:,}.{fraction:0{places}d}"
    return f"{sign}{digits} {currency.upper()}"
