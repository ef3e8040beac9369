"""The program that ``parquet_form`` runs: reads a Parquet file, with limits on memory and time of the process.

It imports nothing but pyarrow. The file comes on its input; columns go to its output, in Arrow's stream format.
"""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq

REFUSED = 3
MAX_MEMORY = 2**30
MAX_SECONDS = 20


def read(content: bytes, known: list[str], max_rows: int, max_bytes: int) -> pa.Table:
    """Return the `known` columns, text as dictionaries; the schema's metadata has the names of all columns."""
    with pq.ParquetFile(pa.BufferReader(content)) as file:
        schema, n_rows = file.schema_arrow, file.metadata.num_rows
    fields = [field for field in schema if field.name in known]
    for field in fields:
        if not (_is_text(field.type) or _is_number(field.type)):
            raise ValueError(f"column '{field.name}' is of type {field.type}; write text or numbers")
    if n_rows > max_rows:
        raise ValueError(f"has {n_rows:,} rows; at most {max_rows:,} are read")
    texts = [field.name for field in fields if _is_text(field.type)]
    with pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts, page_checksum_verification=True) as file:
        table = file.read([field.name for field in fields], use_threads=False)
    table.validate(full=True)  # reading alone lets places outside of a dictionary pass
    if table.num_rows > max_rows:
        raise ValueError(f"has {table.num_rows:,} rows; at most {max_rows:,} are read")
    if table.nbytes > max_bytes:
        raise ValueError(f"unpacks to {table.nbytes / 2**20:,.0f} MB; at most {max_bytes / 2**20:,.0f} MB are read")
    return table.replace_schema_metadata({"names": json.dumps(schema.names)})


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


def _is_number(kind: pa.DataType) -> bool:
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return bool(number or pa.types.is_boolean(kind) or pa.types.is_null(kind))


def _limit() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    except (ImportError, ValueError, OSError):
        return  # Windows and macOS have no such limits


def _main(known: str, max_rows: str, max_bytes: str) -> None:
    pa.set_memory_pool(pa.system_memory_pool())  # others reserve more addresses than they use
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    _limit()
    try:
        table = read(sys.stdin.buffer.read(), json.loads(known), int(max_rows), int(max_bytes))
    except MemoryError:
        reason = f"takes over {MAX_MEMORY >> 20:,} MB of memory to unpack"
    except (pa.ArrowException, OSError, TypeError, LookupError, AttributeError) as error:
        reason = f"is not a readable Parquet file: {' '.join(str(error).split())[:120]}"
    except ValueError as error:
        reason = str(error)[:500]
    else:
        with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
            stream.write_table(table)
        return
    sys.stderr.buffer.write(reason.encode("utf-8", "replace"))
    sys.exit(REFUSED)


if __name__ == "__main__":
    _main(*sys.argv[1:])
