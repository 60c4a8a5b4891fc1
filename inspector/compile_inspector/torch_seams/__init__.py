"""The only home of torch's private names: one file a feature of torch, each probed for before it is used."""
