"""Whether a list of differentially expressed genes resembles those of the open spaceflight studies.

`read` takes the user's table, `references` the open ones, `genes` gives both the same identifiers, `query` compares.
"""
