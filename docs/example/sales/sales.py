"""Sums up orders by region: a table for people."""

import sys

import pandas

orders = pandas.read_csv(sys.argv[1], parse_dates=["day"])
table = orders.groupby("region")["amount"].agg(orders="count", total="sum")
table["share"] = (table["total"] / table["total"].sum()).round(3)
print(table.to_string(float_format=lambda value: f"{value:.2f}" if value >= 1 else f"{value:.3f}"))
print("first", orders["day"].min().date(), "last", orders["day"].max().date())
