"""README's list of the parameters of CONFIG that act, made from the table of parameters.

`python -m tests.conformance.parameters` writes it between its marks; a test sees that it is written.
"""

from server.parameters.table import PARAMETERS
from tests.conformance.families import README

BEGIN, END = "<!-- parameters: begin -->\n", "<!-- parameters: end -->\n"


def listing() -> str:
    """The list, in Markdown."""
    acting = sorted(parameter.name for parameter in PARAMETERS if parameter.acts)
    fixed = sum(not parameter.mutable for parameter in PARAMETERS)
    remembered = len(PARAMETERS) - len(acting) - fixed
    names = ", ".join(f"`{name}`" for name in acting)
    return (
        f"{len(acting)} of {len(PARAMETERS)} parameters act: {names}. "
        f"{remembered} more are checked, remembered and reported, and change nothing; "
        f"{fixed} can not be set while the server runs.\n"
    )


def with_listing(readme: str, made: str) -> str:
    """README with the list in its place; unchanged where it has none."""
    if BEGIN not in readme:
        return readme
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{made}{END}{after}"


def main() -> None:
    """Write the list into README.md."""
    README.write_text(with_listing(README.read_text(), listing()))
    print(listing())


if __name__ == "__main__":
    main()
