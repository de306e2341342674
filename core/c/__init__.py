"""Foreign APIs as declarations: no logic here."""
