"""What Stripe demands of amounts, by currency. Amounts are whole numbers of the smallest unit."""

from sandbox.errors import bad_parameter
from sandbox.params import Params

_CODES = """\
aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad
cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd
hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl
mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg
qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah
ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw
"""
CURRENCIES = frozenset(_CODES.split())
THREE_DECIMAL = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
WHOLE_UNITS = frozenset({"isk", "ugx"})
"""Written with two decimals, which must be 00."""
WHOLE_PAYOUTS = frozenset({"huf", "twd"})
"""Paid out in whole units only."""
MAX_AMOUNT_MINOR = 999_999_999_999


def step(currency: str, is_payout: bool) -> int:
    """What an amount in this currency must be divisible by."""
    if currency in WHOLE_UNITS or (is_payout and currency in WHOLE_PAYOUTS):
        return 100
    return 10 if currency in THREE_DECIMAL else 1


def read_currency(params: Params) -> str:
    currency = params.required_text("currency").lower()
    if currency not in CURRENCIES:
        raise bad_parameter("currency", f"Invalid currency: {currency}")
    return currency


def check_amount(amount_minor: int, currency: str, is_payout: bool) -> int:
    if amount_minor < 1:
        raise bad_parameter("amount", "Invalid positive integer", "parameter_invalid_integer")
    if amount_minor > MAX_AMOUNT_MINOR:
        raise bad_parameter("amount", f"Amount must be no more than {MAX_AMOUNT_MINOR}", "amount_too_large")
    if amount_minor % step(currency, is_payout):
        raise bad_parameter(
            "amount",
            f"Invalid amount: {amount_minor} {currency} is not divisible by {step(currency, is_payout)}",
            "parameter_invalid_integer",
        )
    return amount_minor
