"""FUNCTION and FCALL: what a library may register, how it is called, and its life."""

from server.scripting.library import dump_libraries
from server.types.crc64 import crc64
from tests.conformance.cases import Case

F = "redis.register_function('f', function(keys, args) return {keys, args} end)"


def library(body: str, name: str = "l") -> str:
    """A library's text; its Lua begins on the second line."""
    return f"#!lua name={name}\n{body}"


def function(body: str, flags: str = "", before: str = "") -> str:
    """A library with one function, f, whose body stands on line 4."""
    return library(
        f"{before}\nredis.register_function{{function_name='f', callback=function(keys, args)\n{body}\nend,"
        f" flags={{{flags}}}}}"
    )


def _loading(name: str, *texts: str) -> Case:
    return Case(
        f"FUNCTION LOAD: {name}",
        [
            ["FUNCTION", "FLUSH"],
            *(["FUNCTION", "LOAD", "REPLACE", text] for text in texts),
            ["FUNCTION", "FLUSH"],
        ],
    )


def _calling(name: str, *texts: str, flags: str = "", command: str = "FCALL") -> Case:
    steps = [["FUNCTION", "FLUSH"]]
    for text in texts:
        steps += [["FUNCTION", "LOAD", "REPLACE", function(text, flags)], [command, "f", "1", "k", "a1"]]
    return Case(f"{command}: {name}", [*steps, ["FUNCTION", "FLUSH"]])


def _sealed(body: bytes) -> bytes:
    body += b"\x50\0"
    return body + crc64(body).to_bytes(8, "little")


ONE = dump_libraries([library(F).encode()])
TWICE = dump_libraries(
    [
        library("redis.register_function('one', function() end)").encode(),
        library("redis.register_function('two', function() end)").encode(),
    ]
)
SAME_FUNCTION = dump_libraries([library(F).encode(), library(F, "m").encode()])
COMMENTED = library("-- " + "a comment that repeats itself " * 20 + "\n" + F)

CASES = (
    _loading(
        "what a library registers",
        library(F),
        library("server.register_function(1, function() end)"),
        library("server.register_function(1.5, function() end)"),
        library("server.register_function('f')"),
        library("server.register_function('f', 1)"),
        library("server.register_function({}, function() end)"),
        library("server.register_function()"),
        library("server.register_function(1, 2, 3)"),
        library("server.register_function('', function() end)"),
        library("server.register_function('a-b', function() end)"),
        library(
            "server.register_function('a', function() end) server.register_function('a', function() end)"
        ),
        library("return 1"),
    ),
    _loading(
        "named arguments",
        library("server.register_function{}"),
        library("server.register_function{function_name='a'}"),
        library("server.register_function{callback=function() end}"),
        library("server.register_function{function_name={}, callback=function() end}"),
        library("server.register_function{function_name='a', callback=1}"),
        library("server.register_function{function_name='a', callback=function() end, foo=1}"),
        library("server.register_function{[1]='a', callback=function() end}"),
        library("server.register_function{[true]='a', callback=function() end}"),
        library("server.register_function{function_name='a', callback=function() end, flags=1}"),
        library("server.register_function{function_name='a', callback=function() end, flags={'x'}}"),
        library("server.register_function{function_name='a', callback=function() end, flags={1}}"),
        library("server.register_function{function_name='a', callback=function() end, description={}}"),
        library("server.register_function{function_name='a', callback=function() end, description=3}"),
        library("server.register_function{FUNCTION_NAME='a', Callback=function() end, Flags={'No-Writes'}}"),
    ),
    _loading(
        "what is there while a library is loaded",
        library("redis.call('get', 'x')"),
        library("redis.pcall('get', 'x')"),
        library("x = 1"),
        library("local a = x"),
        library("redis.x = 1"),
        library("_G.x = 1"),
        library("error('x')"),
        library("local a = pairs"),
        library("local a = KEYS"),
        library("server.setresp(3)"),
        library("redis.sha1hex('x')"),
        library("server.set_repl(1)"),
        library("redis.error_reply('x')"),
        library("redis.acl_check_cmd('get')"),
        library("redis.breakpoint()"),
        library("\n\nredis.foo()"),
        library("server.register_function(server.SERVER_NAME, function() end)"),
        library("server.register_function('v' .. redis.LOG_WARNING, function() end)"),
        library("1 +"),
        library("local a = nil\nlocal b = a.b"),
        library("while true do end"),
    ),
    _loading(
        "the first line",
        "",
        "x",
        "#!lua",
        "#!lua\n",
        "#!lua name=\n",
        "#!lua name=a-b\nx",
        "#!lua name=a name=b\n",
        "#!lua foo=b\n",
        "#!lua foo\nx",
        "#!js name=a\nx",
        "#!LUA NAME=zz\n" + F,
        "#!\nx",
        "#! lua name=x\n",
        "#!lua name='q q'\nx",
        '#!lua name="q"\n' + F,
        '#!lua name="q\nx',
        "\n#!lua name=x\n" + F,
    ),
    _calling(
        "what a function sees",
        "return {keys, args}",
        "return KEYS",
        "return ARGV",
        "x = 1",
        "return x",
        "return _G.x",
        "_G.x = 1",
        "redis.x = 1",
        "string.x = 1",
        "setmetatable(_G, {})",
        "rawset(_G, 'x', 1) return x",
        "local r = {} for k in pairs(redis) do r[#r+1] = k end table.sort(r) return r",
        "local r = {} for k in pairs(server) do r[#r+1] = k end table.sort(r) return r",
        "local r = {} for k in pairs(_G) do r[#r+1] = k end table.sort(r) return r",
        "redis.register_function('g', function() end)",
        "redis.replicate_commands()",
        "redis.breakpoint()",
        "redis.debug('x')",
        "print('x')",
        "return cjson.encode({1, 2}) .. redis.sha1hex('')",
    ),
    _calling(
        "what a function answers",
        "return 3.99",
        "return {err='My error'}",
        "return redis.error_reply('My error')",
        "return redis.status_reply('fine')",
        "return {1, {2, 'x'}, nil, 4}",
        "redis.setresp(3) return {map={a=1}}",
        "error('x')",
        "error({err='E x'})",
        "error({a=1})",
        "local a = nil return a.b",
        "return server.call('nosuch')",
        "return server.pcall('nosuch')",
        "return server.call('get')",
        "server.call('incr', keys[1]) server.call('incr', keys[1]) return server.call('get', keys[1])",
        "server.call('set', keys[1], 'kept') error('then')",
        "return server.call('get', keys[1])",
        "return server.call('fcall', 'f', 0)",
        "return server.call('function', 'list')",
        "return server.call('eval', 'return 1', 0)",
    ),
    _calling(
        "a function that does not write",
        "return server.call('set', keys[1], 'x')",
        "return redis.pcall('set', keys[1], 'x')",
        "return server.call('get', keys[1])",
        flags="'no-writes'",
    ),
    _calling(
        "a function that does not write",
        "return server.call('set', keys[1], 'x')",
        "return server.call('get', keys[1])",
        flags="'no-writes', 'allow-stale', 'allow-oom'",
        command="FCALL_RO",
    ),
    _calling("a function that may write", "return server.call('get', keys[1])", command="FCALL_RO"),
    Case(
        "FCALL: arguments",
        [
            ["FUNCTION", "FLUSH"],
            ["FCALL", "f", "0"],
            ["FCALL", "f", "x"],
            ["FUNCTION", "LOAD", library(F)],
            ["FCALL", "f", "0"],
            ["FCALL", "F", "0", "a"],
            ["FCALL", "f", "2", "{k}a", "{k}b", "c"],
            ["FCALL", "f", "x"],
            ["FCALL", "f", "2", "a"],
            ["FCALL", "f", "-1", "a"],
            ["FCALL", "f"],
            ["FCALL", "g", "x"],
            ["FCALL_RO", "g", "0"],
            ["FCALL_RO", "f", "0"],
            ["COMMAND", "GETKEYS", "FCALL", "f", "2", "a", "b", "c"],
            ["COMMAND", "GETKEYS", "FCALL", "f", "0"],
            ["COMMAND", "GETKEYS", "FCALL", "f", "x"],
            ["@sorted", "COMMAND", "GETKEYSANDFLAGS", "FCALL", "f", "1", "a"],
            ["@sorted", "COMMAND", "GETKEYSANDFLAGS", "FCALL_RO", "f", "1", "a"],
            ["COMMAND", "GETKEYS", "EVAL", "x", "x"],
            ["FUNCTION", "FLUSH"],
        ],
    ),
    Case(
        "FCALL: what a library keeps between calls",
        [
            ["FUNCTION", "FLUSH"],
            ["FUNCTION", "LOAD", function("box.n = box.n + 1 return box.n", before="local box = {n = 0}")],
            ["FCALL", "f", "0"],
            ["FCALL", "f", "0"],
            ["FUNCTION", "FLUSH"],
        ],
    ),
    Case(
        "FCALL in MULTI",
        [
            ["FUNCTION", "FLUSH"],
            ["MULTI"],
            ["FUNCTION", "LOAD", function("return server.call('incr', keys[1])")],
            ["FCALL", "f", "1", "k"],
            ["FCALL", "g", "1", "k"],
            ["INCR", "k"],
            ["FCALL_RO", "f", "1", "k"],
            ["EXEC"],
            ["FUNCTION", "FLUSH"],
        ],
    ),
    Case(
        "FUNCTION: a library's life",
        [
            ["FUNCTION", "FLUSH"],
            ["FUNCTION", "LIST"],
            ["FUNCTION", "STATS"],
            ["FUNCTION", "LOAD", library(F)],
            ["FUNCTION", "LOAD", library(F)],
            ["FUNCTION", "LOAD", library("1 +")],
            ["FUNCTION", "LOAD", "replace", "REPLACE", library(F)],
            ["FUNCTION", "LOAD", library(F, "m")],
            ["FUNCTION", "LOAD", library(F.replace("'f'", "'F'"), "m")],
            ["FUNCTION", "STATS"],
            ["FUNCTION", "LIST"],
            ["FUNCTION", "LIST", "WITHCODE"],
            ["FUNCTION", "LIST", "libraryname", "L*", "withcode"],
            ["FUNCTION", "LIST", "LIBRARYNAME", "x*"],
            ["FUNCTION", "LIST", "LIBRARYNAME"],
            ["FUNCTION", "LIST", "x"],
            ["FUNCTION", "LIST", "WITHCODE", "WITHCODE"],
            ["FUNCTION", "LIST", "LIBRARYNAME", "a", "LIBRARYNAME", "b"],
            ["FUNCTION", "LOAD", "REPLACE", function("return 1", "'allow-oom', 'no-writes'")],
            ["@sorted", "FUNCTION", "LIST"],
            ["FUNCTION", "DELETE", "L"],
            ["FUNCTION", "DELETE", "l"],
            ["FUNCTION", "DELETE", "l"],
            ["FCALL", "f", "0"],
            ["FUNCTION", "LOAD", library(F)],
            ["FUNCTION", "FLUSH", "SYNC"],
            ["FUNCTION", "LOAD", library(F)],
            ["FUNCTION", "FLUSH", "async"],
            ["FUNCTION", "LIST"],
        ],
    ),
    Case(
        "FUNCTION: arguments",
        [
            ["FUNCTION"],
            ["FUNCTION", "NOSUCH"],
            ["FUNCTION", "LOAD"],
            ["FUNCTION", "LOAD", "x", "y"],
            ["FUNCTION", "DELETE"],
            ["FUNCTION", "FLUSH", "x"],
            ["FUNCTION", "FLUSH", "sync", "x"],
            ["FUNCTION", "RESTORE"],
            ["FUNCTION", "RESTORE", "x", "y"],
            ["FUNCTION", "RESTORE", "x", "FLUSH", "z"],
            ["FUNCTION", "DUMP", "x"],
            ["FUNCTION", "STATS", "x"],
            ["FUNCTION", "KILL"],
            ["FUNCTION", "HELP"],
        ],
    ),
    Case(
        "FUNCTION RESTORE",
        [
            ["FUNCTION", "FLUSH"],
            ["FUNCTION", "LOAD", COMMENTED],
            ["FUNCTION", "RESTORE", ONE],
            ["FUNCTION", "RESTORE", ONE, "append"],
            ["FUNCTION", "RESTORE", ONE, "REPLACE"],
            ["FUNCTION", "LIST", "WITHCODE"],
            ["FUNCTION", "RESTORE", dump_libraries([COMMENTED.encode()]), "FLUSH"],
            ["FUNCTION", "LIST", "WITHCODE"],
            ["FUNCTION", "RESTORE", dump_libraries([library(F, "m").encode()])],
            ["FUNCTION", "RESTORE", dump_libraries([library(F, "m").encode()]), "REPLACE"],
            ["FUNCTION", "RESTORE", dump_libraries([])],
            ["FUNCTION", "RESTORE", dump_libraries([]), "FLUSH"],
            ["FUNCTION", "LIST"],
            ["FUNCTION", "RESTORE", TWICE],
            ["FUNCTION", "RESTORE", TWICE, "REPLACE"],
            ["FUNCTION", "RESTORE", SAME_FUNCTION],
            ["FUNCTION", "RESTORE", "x"],
            ["FUNCTION", "RESTORE", ONE[:-1] + b"?"],
            ["FUNCTION", "RESTORE", _sealed(b"\x00\x01a")],
            ["FUNCTION", "RESTORE", _sealed(b"\xf6")],
            ["FUNCTION", "RESTORE", _sealed(b"\xf5")],
            ["FUNCTION", "RESTORE", _sealed(b"\xf5\x03abc")],
            ["FUNCTION", "RESTORE", _sealed(b"\xf5\x10#!lua name=q\nx=1")],
            ["FUNCTION", "LIST"],
            ["FUNCTION", "FLUSH"],
        ],
    ),
)
