"""Files of unknown origin: one sentence, bounded time and memory, and nothing of them is run."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from vram_advisor.exchange.files import import_run
from vram_advisor.units.errors import BadInput

MEMORY = 700 << 20
"""Address space of the process that reads a file [B]; the interpreter and its libraries take a third of it."""
SECONDS = 60
"""Processor time [s]."""
ROOT = Path(__file__).resolve().parents[2]
CHECK_ALL = """
import contextlib, io, json, pathlib, sys, time
from vram_advisor.cli.app import run
told = {}
for name, text in json.load(sys.stdin).items():
    file = pathlib.Path("run.yaml")
    file.write_text(text, encoding="utf-8")
    began, out, err = time.process_time(), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(["check", "--config", "run.yaml", "--gpu", "rtx-4090"])
    told[name] = [int(code), out.getvalue(), err.getvalue(), time.process_time() - began]
    file.unlink()
json.dump(told, sys.stdout)
"""
CODE = """
import sys
from vram_advisor.cli.app import run
sys.exit(run(["check", "--config", sys.argv[1], "--model", "7b", "--method", "lora", "--gpu", "rtx-4090"]))
"""


def bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def check(file: Path) -> tuple[int, str]:
    """Exit code and standard error of a check under limits."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(file)], capture_output=True, text=True, preexec_fn=bounded, check=False
    )
    return done.returncode, done.stderr


def laughs(levels: int = 12) -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "billion laughs": laughs(),
    "recursive alias": "base_model: &x [*x]\n",
    "anchors without end": "\n".join(f"a{i}: &a{i} {{b: 1}}" for i in range(100_000)),
    "quadratic aliases": "a: &a [" + "x, " * 50_000 + "]\nb: [" + "*a, " * 50_000 + "]",
    "merge of an alias": "a: &a {base_model: x}\nb:\n  <<: *a\n",
    "python tag": "base_model: !!python/object/apply:os.system ['touch owned']\n",
    "python name": "base_model: !!python/name:os.system\n",
    "local tag": "base_model: !include /etc/passwd\n",
    "binary tag": "base_model: !!binary aGVsbG8=\n",
    "set tag": "base_model: !!set {a, b}\n",
    "deep lists": "base_model: " + "[" * 100_000,
    "deep closed lists": "base_model: " + "[" * 20_000 + "]" * 20_000,
    "deep mappings": "base_model: " + "{a: " * 50_000,
    "deep indents": "\n".join(" " * i + "a:" for i in range(1500)),
    "deep dashes": "- " * 200_000,
    "deep questions": "? " * 200_000,
    "deep JSON": '{"a": ' * 100_000,
    "many keys": "\n".join(f"k{i}: 1" for i in range(210_000)),
    "many values in JSON": "{" + ",".join(f'"k{i}":1' for i in range(210_000)) + "}",
    "one long number": "micro_batch_size: " + "9" * 3_000_000,
    "base 60": "micro_batch_size: 1" + ":59" * 900_000,
    "long hexadecimal": "micro_batch_size: 0x" + "f" * 3_000_000,
    "one long JSON number": '{"micro_batch_size": ' + "9" * 100_000 + "}",
    "NaN": '{"per_device_train_batch_size": NaN}',
    "infinity": "base_model: x\nlora_dropout: .inf\nadapter: lora\nlora_target_linear: true\n",
    "key twice": "base_model: a\nbase_model: b\n",
    "key twice in JSON": '{"zero_optimization": {}, "zero_optimization": {}}',
    "list as key": "[1, 2]: x\n",
    "several documents": "base_model: a\n---\nbase_model: b\n",
    "a list": "- base_model\n",
    "one word": "hello\n",
    "control characters": "base_model: \x01\x02\n",
    "open quotation": 'base_model: "x\n',
    "tab": "base_model:\n\t- x\n",
    "list for a number": "base_model: x\nmicro_batch_size: [1]\n",
    "text for a number": "base_model: x\nmicro_batch_size: many\n",
    "truth for a number": "base_model: x\nmicro_batch_size: true\n",
    "fraction for a number": "base_model: x\nmicro_batch_size: 1.5\n",
    "zero": "base_model: x\nmicro_batch_size: 0\n",
    "negative": "base_model: x\nsequence_len: -5\n",
    "huge": "base_model: x\nsequence_len: 99999999999999999999999\n",
    "mapping for a word": "base_model: x\noptimizer: {a: b}\n",
    "list for a word": "base_model: x\noptimizer: [adamw_torch]\n",
    "unknown optimizer": "base_model: x\noptimizer: came_pytorch\n",
    "another run": "base_model: x\nrl: grpo\n",
    "open quotation in a command": "llama-server -m 'x\n",
    "flag twice": "llama-server -m x.gguf -c 1 -c 2\n",
    "long command": "llama-server " + "-c 1 " * 20_000,
    "word for a number in a command": "llama-server -m x.gguf -c many\n",
    "deep Python": "FastLanguageModel.from_pretrained(" + "(" * 5000,
    "deep Python without brackets": "x = FastLanguageModel\ny = " + "-" * 100_000 + "1",
    "deep chain": "x = FastLanguageModel\ny = a" + ".a" * 100_000,
    "deep sum": "x = FastLanguageModel\ny = 1" + "+1" * 100_000,
    "deep comparison": "x = FastLanguageModel\ny = " + "not " * 50_000 + "1",
    "deep lambda": "x = FastLanguageModel\ny = " + "lambda: " * 30_000 + "1",
    "deep if": "x = FastLanguageModel\ny = 1" + " if a else 1" * 20_000,
    "deep blocks": "x = FastLanguageModel\n" + "\n".join(" " * i + "if a:" for i in range(90)),
    "Python with a null": "FastLanguageModel.from_pretrained(\0)",
    "computed Python": "FastLanguageModel.from_pretrained(model_name=open('x').read())",
    "no Modelfile": "FROM x\nRUN rm -rf /\n",
    "nothing known": "foo: 1\nbar: 2\n",
}


Told = dict[str, tuple[int, str, str, float]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Exit code, output, errors and processor time [s] of a check of each file, by one process under limits."""
    empty = tmp_path_factory.mktemp("empty")
    done = subprocess.run(
        [sys.executable, "-c", CHECK_ALL], input=json.dumps(HOSTILE), capture_output=True, text=True, cwd=empty,
        preexec_fn=bounded, check=True, env={"PYTHONPATH": str(ROOT), "HOME": str(empty)},
    )  # fmt: skip
    assert not list(empty.iterdir()), "nothing is run"
    found: Told = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_a_sentence(name: str, told: Told) -> None:
    code, out, err, seconds = told[name]
    assert code == 2 and out == ""
    assert err.startswith("vram-advisor: run.yaml") and err.count("\n") == 1 and len(err) < 1500
    assert seconds < 3


def test_a_refusal_is_exit_code_2_and_one_line(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(HOSTILE["python tag"], encoding="utf-8")
    code, said = check(file)
    assert code == 2 and said.startswith(f"vram-advisor: {file}") and said.count("\n") == 1
    assert list(tmp_path.iterdir()) == [file]


def test_fifty_megabytes_are_not_read(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_bytes(b"# nothing\n" * (5 << 20))
    code, said = check(file)
    assert code == 2 and said.count("\n") == 1
    assert "expected at most 4,194,304" in said


def test_fifty_megabytes_from_a_pipe_are_not_read() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, "-"], input=b"# nothing\n" * (5 << 20), capture_output=True, preexec_fn=bounded
    )
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1


def test_a_named_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.yaml")
    code, said = check(tmp_path / "run.yaml")
    assert code == 2 and said.endswith("is not a file\n")


@pytest.mark.parametrize("content", [b"", b"  \n", b"\xff\xfe\x00", b"base_model: \xff\n"])
def test_no_text(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_bytes(content)
    code, said = check(file)
    assert code == 2 and said.count("\n") == 1


@pytest.mark.parametrize("path", ["missing.yaml", "/dev/zero", "/proc/self/mem", "."])
def test_no_file(path: str) -> None:
    code, said = check(Path(path))
    assert code == 2 and said.count("\n") == 1


def test_the_largest_file_is_read_within_the_limits(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    lines = ["base_model: 7b", "adapter: lora", "lora_target_linear: true", "micro_batch_size: 1"]
    file.write_text("\n".join([*lines, "wandb_name: " + "x" * 4_000_000]), encoding="utf-8")
    code, said = check(file)
    assert code == 0, said


@pytest.mark.parametrize(
    ("text", "program", "expected"),
    [
        ("base_model: x\nmicro_batch_size: many", None, "run: micro_batch_size: many should be a whole number."),
        ("base_model: x\nmicro_batch_size: 0", None, "run: micro_batch_size: 0 should be greater than or equal to 1."),
        ("base_model: x\nadapter: ia3\nlora_target_linear: true", None, "adapter: ia3 is not modelled"),
        ("base_model: x\nadapter: lora", None, "run: adapter: neither lora_target_linear nor"),
        ("base_model: x\nadapter: qlora\nlora_target_linear: true", None, "this combination is not modelled"),
        ("cutoff_len: [1]", "llama-factory", "run: cutoff_len: 1 should be a whole number."),
        ("train: {micro_batch_size: 32, global_batch_size: 4}", "litgpt", "is less than train.micro_batch_size 32"),
        ("distributed_type: FSDP", "axolotll", "the nearest is axolotl"),
        ("deepspeed: my_own.json\nbase_model: x", None, "write its content in place of its name"),
        ("trl grpo --model_name_or_path x", None, "trl sft, trl dpo and trl kto"),
        ("accelerate launch", None, "no script is started"),
    ],
)  # fmt: skip
def test_the_sentence_names_file_key_and_what_is_expected(text: str, program: str | None, expected: str) -> None:
    with pytest.raises(BadInput) as caught:
        import_run(text.encode(), "run", program)
    assert expected in str(caught.value)


def test_values_of_all_types_at_every_key_end_in_an_answer_or_a_sentence() -> None:
    from vram_advisor.exchange.programs import PROGRAMS

    values = (None, True, 0, -1, 2.5, 1e308, "x", "", [], [[1]], {"a": {"b": 1}}, [{"a": 1}], "9" * 50)
    for program in PROGRAMS.values():
        if program.syntax not in ("yaml", "json"):
            continue
        for key in {key for row in program.rows for key in row.keys if not key.startswith("(")}:
            for value in values:
                document: object = value
                for name in reversed(key.split(".")):
                    document = {name: document}
                try:
                    import_run(json.dumps(document).encode(), "run", program.name)
                except BadInput as error:
                    assert str(error).startswith("run")


def test_damaged_examples_end_in_an_answer_or_a_sentence() -> None:
    random, files = Random(7), [path.read_bytes() for path in (Path(__file__).parent / "examples").iterdir()]
    pieces = (b"[", b"{", b":", b"- ", b"null", b"true", b"--8", b'"', b"'", b"\n", b"1e999", b"&a ", b"*a", b"!!int ", b"\\", b"=", b"(", b"\xff")  # fmt: skip
    for _ in range(5000):
        data = bytearray(random.choice(files))
        for _ in range(random.randint(1, 8)):
            at = random.randrange(len(data))
            other = random.choice(files)
            start = random.randrange(len(other))
            change = (random.choice(pieces), b"", other[start : start + random.randint(1, 60)])
            data[at : at + random.randint(0, 10)] = random.choice(change)
        try:
            import_run(bytes(data), "run")
        except BadInput as error:
            assert str(error).startswith("run")
