"""The book: built from pages and notebooks, with parts that are generated while Sphinx reads them."""
