"""What `dracctl recipe` prints on a site: the texts that the interop tests run."""

from tests.site import dovecot, exim, postfix, sendmail


def tested():
    """The text of each recipe, by its name, without the line that says where it belongs."""
    texts = {f"dovecot-{version}{suffix}": dovecot.recipe(mode)
             for version in ("2.3", "2.4") for suffix, mode in (("", "serve"), ("-script", "script"))}
    for name, ask in postfix.ASK.items():
        texts[f"postfix-{name}"] = "smtpd_relay_restrictions =\n" + postfix.RESTRICTIONS.replace("@ASK@", ask)
    for name, lines in sendmail.RECIPES.items():
        texts[f"sendmail-{name.removeprefix('drac-')}"] = lines
    for name, text in exim.RECIPES.items():
        texts[f"exim-{name}"] = text
    return texts


def text_of(output):
    """What dracctl printed, without the line that says where it belongs."""
    first, _, text = output.partition("\n")
    if not first.startswith(("# ", "dnl ")):
        raise AssertionError(f"no line that says where it belongs: {first}")
    return text
