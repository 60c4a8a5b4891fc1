"""The IPython extension: events and magics over the public interface."""
