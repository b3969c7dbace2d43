"""Experiments over Protocols: they measure the product without importing it.

`learning` asks how many ratings a taste needs, `serving` what an update costs the person who is
chatting, `crash` what a kill -9 loses. `report` holds the intervals and the printing they share.
"""
