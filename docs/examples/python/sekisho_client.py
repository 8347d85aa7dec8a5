#!/usr/bin/env python3
"""A small client of sekisho.v1 in Python: what a partner's own tooling begins with.

    sekisho_client.py --context kanto nodes
    sekisho_client.py --context sapporo plan sapporo hello sim-h100 2
    sekisho_client.py --context kanto watch nodes jobs --bookmarks 2

It reads, plans and watches. It writes nothing: what widens has to be signed over the canonical bytes of the command
(docs/adr/0006), which `sekisho` makes; to write from Python, call `sekisho -o json ...`.

The stubs are made from the .proto files when it starts; pin what you generate from to a release of the federation.
"""
import argparse
import json
import pathlib
import sys
import time
import tomllib

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

HERE = pathlib.Path(__file__).resolve().parent
# Longest wait for an answer, seconds: a member answers or says why within it.
DEADLINE = 10
# Codes after which another member may answer: nothing was done, or it may be repeated.
ELSEWHERE = {"NO_LEADER", "OVERLOADED", "STALE_READ", "DEADLINE", "CLOCK_BEHIND"}


class Refused(Exception):
    """A refusal: its stable code, its words, and the values that they name."""

    def __init__(self, code, message, metadata):
        super().__init__(f"{code}: {message}")
        self.code, self.metadata = code, metadata

    @classmethod
    def of(cls, error):
        """Every refusal of a member has exactly one ErrorInfo; without one, no member of ours spoke."""
        status = rpc_status.from_call(error)
        for detail in status.details if status else []:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                return cls(info.reason, status.message, dict(info.metadata))
        return cls("NO_LEADER", f"{error.code().name}: {error.details()}", {})


class Federation:
    """The members of a context, one after the other until one answers."""

    def __init__(self, contexts, name):
        folder = contexts.parent
        with contexts.open("rb") as file:
            settings = tomllib.load(file)
        context = settings["context"][name or settings["current"]]
        read = lambda path: (folder / path).read_bytes()
        # Each operator has its own root, and its members stand below that one alone.
        self.roots = {root["operator"]: read(root["file"]) for root in context["roots"]}
        self.key, self.chain = read(context["identity_key"]), read(context["identity"])
        self.endpoints = context["endpoints"]
        self.at = 0

    def channel(self):
        """A connection to the present member. Who answers has to be of the operator whose address it is."""
        endpoint = self.endpoints[self.at % len(self.endpoints)]
        credentials = grpc.ssl_channel_credentials(
            self.roots[endpoint["operator"]], self.key, self.chain
        )
        return grpc.secure_channel(endpoint["address"], credentials)

    def call(self, stub, method, request):
        """Calls members until an answer or a refusal that no other member would take back. For reads."""
        refused = None
        for _ in range(2 * len(self.endpoints)):
            with self.channel() as channel:
                try:
                    return getattr(stub(channel), method)(request, timeout=DEADLINE)
                except grpc.RpcError as error:
                    refused = Refused.of(error)
            if refused.code not in ELSEWHERE:
                raise refused
            self.at += 1
            time.sleep(0.2)
        raise refused

    def watch(self, stub, request):
        """Rows and bookmarks for ever; a stream that breaks off is resumed at the next member."""
        while True:
            try:
                with self.channel() as channel:
                    for message in stub(channel).Watch(request):
                        # Both make sure that no row goes back and none is missing on another member.
                        request.seen_revision = max(request.seen_revision, message.revision)
                        if message.WhichOneof("item") == "bookmark":
                            request.resume_revision = message.revision
                            request.resume_incarnation = message.bookmark.incarnation
                        yield message
            except grpc.RpcError as error:
                refused = Refused.of(error)
                if refused.code == "REVISION_COMPACTED":
                    # What changed since is not kept: list again.
                    request.ClearField("resume_revision")
                    request.resume_incarnation = request.seen_revision = 0
                elif refused.code not in ELSEWHERE:
                    raise refused from None
                print(f"going on elsewhere: {refused}", file=sys.stderr)
            self.at += 1
            time.sleep(0.2)


def stubs(proto):
    """Messages and services of the .proto files."""
    sys.path.insert(0, str(proto))
    make = lambda noun: grpc.protos_and_services(f"sekisho/v1/{noun}.proto")
    return {noun: make(noun) for noun in ("node", "job", "event")}


def nodes(federation, made, _args):
    """Every node, page by page."""
    messages, services = made["node"]
    token = ""
    while True:
        ask = messages.ListNodesRequest(parent="sites/-", page_size=100, page_token=token)
        page = federation.call(services.NodeServiceStub, "ListNodes", ask)
        for node in page.nodes:
            state = messages.Node.State.Name(node.state)
            print(json.dumps({"name": node.name, "area": node.area_label, "state": state}))
        # A site that cannot be asked is unreachable, never empty.
        for site in page.unreachable:
            print(f"unreachable: {site}", file=sys.stderr)
        token = page.next_page_token
        if not token:
            return


def plan(federation, made, args):
    """What would happen to a job now; changes nothing."""
    messages, services = made["job"]
    spec = messages.JobSpec(
        group=1,
        device_class=args.device_class,
        gpus=args.gpus,
        time_limit_s=600,
        payload_sha256="0" * 64,
        payload_len=1,
    )
    ask = messages.PlanJobRequest(parent=f"tenants/{args.tenant}", job_id=args.job, spec=spec)
    found = federation.call(services.JobServiceStub, "PlanJob", ask)
    verdict = messages.Explanation.Verdict.Name(found.verdict)
    print(json.dumps({"verdict": verdict, "binding": found.binding, "summary": found.summary}))


def watch(federation, made, args):
    """What is there and then what changes, until so many bookmarks came."""
    messages, services = made["event"]
    topics = [messages.WatchRequest.Topic.Value(topic.upper()) for topic in args.topics]
    ask = messages.WatchRequest(topics=topics, progress_interval_ms=1000)
    left = args.bookmarks
    for message in federation.watch(services.EventServiceStub, ask):
        kind = message.WhichOneof("item")
        row = {"revision": message.revision, "kind": kind}
        if kind == "bookmark":
            left -= 1
            row["incarnation"] = message.bookmark.incarnation
        else:
            row["name"] = getattr(message, kind).name
        print(json.dumps(row), flush=True)
        if left == 0:
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contexts", type=pathlib.Path, default=pathlib.Path("contexts.toml"))
    parser.add_argument("--context", help="name of the context; else the current one")
    parser.add_argument("--proto", type=pathlib.Path, default=HERE.parents[2] / "proto")
    verbs = parser.add_subparsers(required=True)
    verbs.add_parser("nodes").set_defaults(run=nodes)
    verb = verbs.add_parser("plan")
    verb.set_defaults(run=plan)
    verb.add_argument("tenant")
    verb.add_argument("job")
    verb.add_argument("device_class")
    verb.add_argument("gpus", type=int)
    verb = verbs.add_parser("watch")
    verb.set_defaults(run=watch)
    verb.add_argument("topics", nargs="+")
    verb.add_argument("--bookmarks", type=int, default=-1, help="end after so many; else never")
    args = parser.parse_args()
    try:
        args.run(Federation(args.contexts, args.context), stubs(args.proto), args)
    except Refused as refused:
        # Decide by the code; the words are for people.
        print(f"{refused} {json.dumps(refused.metadata)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
