"""Random tables: what every lookup says and every map file holds is compared with an oracle of its own."""
