"""The audit: what the tables and scores show when they are looked at closely.

Checks are small functions of a task's data, a table or a run's results; each returns a table and applies to every
task alike. `pairing` compares the two protocols, `leaks` looks for rows, features and labels that give something
away, `evidence` compares tables with one another and with their descriptions, `stability` varies seeds and crew.
`figures` computes the numbers that the book's audit states, and `page` and `show` put them there.
"""
