#!/usr/bin/env python3
"""The part of the `helm` command line that the tests use, by Helm's own engine from the package helm-python-sdk.

Only for machines without `helm`: template, install, upgrade, uninstall, with --namespace, --kubeconfig, --values, --set,
--reuse-values, --create-namespace.
"""

import argparse
import pathlib
import sys

import helm_python


def arguments():
    parser = argparse.ArgumentParser(prog="helm")
    parser.add_argument("action", choices=["template", "install", "upgrade", "uninstall"])
    parser.add_argument("release")
    parser.add_argument("chart", nargs="?")
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("--kubeconfig")
    parser.add_argument("--values", action="append", default=[])
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--reuse-values", action="store_true")
    parser.add_argument("--create-namespace", action="store_true")
    return parser.parse_args()


def merged(base, over):
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return base | {key: merged(base.get(key), value) for key, value in over.items()}


def values(given):
    found = {}
    for file in given.values:
        text = pathlib.Path(file).read_text(encoding="utf-8")
        found = merged(found, helm_python.values_from_yaml(text))
    for expression in given.set:
        found = merged(found, helm_python.parse_set_string(expression))
    return found


def template(given):
    with helm_python.Chart.load(given.chart) as chart:
        chart.validate_schema(values(given))
        rendered = chart.render(values(given), name=given.release, namespace=given.namespace)
    for file, text in sorted(rendered.items()):
        if not file.endswith(".txt") and text.strip():
            print(f"---\n# Source: {file}\n{text.strip()}")


def release(given):
    with helm_python.Config(kubeconfig_path=given.kubeconfig, namespace=given.namespace) as config:
        if given.action == "uninstall":
            config.uninstall(given.release)
        elif given.action == "install":
            make = {"create_namespace": given.create_namespace, "namespace": given.namespace}
            config.install(given.chart, given.release, values(given), **make)
        else:
            keep = {"reuse_values": given.reuse_values, "namespace": given.namespace}
            config.upgrade(given.chart, given.release, values(given), **keep)


def main():
    given = arguments()
    try:
        if given.action == "template":
            template(given)
        else:
            release(given)
    except helm_python.HelmError as error:
        sys.exit(f"Error: {error}")


main()
