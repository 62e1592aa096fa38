"""Does refining help, and whom does it harm? Drawn estimates or a regressor's own, and the usual methods beside.

    rows = for every cell (estimates, kind of evidence, source) and method: errors before and after, who got worse, what
           was rolled back

`refine harm` prints the table; docs/trust.md says how to read it.
"""
