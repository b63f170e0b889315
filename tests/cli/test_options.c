/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/json.h"
#include "common/options.h"

static struct {
    bool flag;
    uint32_t count, n, choice;
    double number, duration;
    const char *text, *maybe;
    uint64_t size;
} v;

static const cli_option table[] = {
    {'f', "flag", CLI_FLAG, &v.flag, NULL, "a flag", 0, 0},
    {'v', "verbose", CLI_COUNT, &v.count, NULL, "a count", 0, 0},
    {'n', "number", CLI_INT, &v.n, "N", "a whole number", 1, 100},
    {'x', "factor", CLI_NUMBER, &v.number, "X", "a number", 0, 1},
    {'s', "string", CLI_STRING, &v.text, "TEXT", "a text", 0, 0},
    {0, "size", CLI_SIZE, &v.size, "BYTES", "a size", 0, 0},
    {0, "time", CLI_DURATION, &v.duration, "TIME", "a duration", 0, 0},
    {0, "maybe", CLI_OPTIONAL, &v.maybe, "FILE", "an optional argument", 0, 0},
    {0, "choice", CLI_CHOICE, &v.choice, "one|two|three", "a choice", 0, 0},
    {0},
};
static const cli_tool tool = {"test", "[OPTION]...", "A test.", table, NULL};

static int parse(const char *words, char ***operands, int *n)
{
    static char copy[256];
    static char *argv[32];
    int argc = 0;

    memset(&v, 0, sizeof(v));
    strncpy(copy, words, sizeof(copy) - 1);
    for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
        argv[argc++] = w;
    argv[argc] = NULL;
    return cli_start(&tool, argc, argv, operands, n);
}

static void test_values(void **state)
{
    char **operands;
    int n;

    (void)state;
    assert_int_equal(parse("test -fvv a -n 7 --factor=.25 -s text --size 3M --time 1:30 --maybe "
                           "--choice two - -- -z",
                           &operands, &n),
                     CLI_GO_ON);
    assert_true(v.flag);
    assert_int_equal(v.count, 2);
    assert_int_equal(v.n, 7);
    assert_true(v.number == 0.25);
    assert_string_equal(v.text, "text");
    assert_int_equal(v.size, 3 << 20);
    assert_true(v.duration == 90);
    assert_string_equal(v.maybe, "");
    assert_int_equal(v.choice, 1);
    assert_int_equal(n, 3);
    assert_string_equal(operands[0], "a");
    assert_string_equal(operands[1], "-");
    assert_string_equal(operands[2], "-z");
    assert_int_equal(parse("test --maybe=FILE", &operands, &n), CLI_GO_ON);
    assert_string_equal(v.maybe, "FILE");
    assert_int_equal(n, 0);
}

static void test_usage_errors(void **state)
{
    static const char *const bad[] = {
        "test -n 0",
        "test -n 101",
        "test -n 1.5",
        "test -n x",
        "test -n",
        "test --factor 1.01",
        "test --factor nan",
        "test --factor -1",
        "test --size 3Q",
        "test --size -1",
        "test --time 1:99",
        "test --time 5x",
        "test --choice four",
        "test --choice tw",
        "test --zzz",
        "test -z",
        "test --flag=3",
        "test --s 1",
        "test -x",
    };
    char **operands;
    int n;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (parse(bad[i], &operands, &n) != CLI_USAGE)
            fail_msg("accepted: %s", bad[i]);
}

static void test_sizes_and_durations(void **state)
{
    static const struct {
        const char *text;
        double value;
    } sizes[] = {
        {"0", 0},       {"1500", 1500},          {"64K", 65536},
        {"64k", 65536}, {"2G", 2147483648.0},    {"1.5MiB", 1572864},
        {"10B", 10},    {"1T", 1099511627776.0},
    };
    static const struct {
        const char *text;
        double value;
    } durations[] = {
        {"0", 0},       {"90", 90},     {"90s", 90},  {"5m", 300},
        {"1.5h", 5400}, {"2d", 172800}, {"1:30", 90}, {"1:02:03", 3723},
    };
    uint64_t size;
    double seconds;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        assert_true(cli_parse_size(sizes[i].text, &size));
        assert_true((double)size == sizes[i].value);
    }
    for (size_t i = 0; i < sizeof(durations) / sizeof(*durations); i++) {
        assert_true(cli_parse_duration(durations[i].text, &seconds));
        assert_true(seconds == durations[i].value);
    }
    assert_false(cli_parse_size("", &size));
    assert_false(cli_parse_size("K", &size));
    assert_false(cli_parse_size("1e30", &size));
    assert_false(cli_parse_duration("", &seconds));
    assert_false(cli_parse_duration("1:2:3:4", &seconds));
    assert_false(cli_parse_duration("1:2m", &seconds));
    assert_false(cli_parse_duration("inf", &seconds));
}

static void test_json(void **state)
{
    static const char want[] =
        "{\"a\": \"q\\\"b\\\\c\\u000a\\u0001\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\", \"n\": 1.5, \"i\": "
        "3, \"bad\": null, "
        "\"yes\": true, \"none\": null}\n";
    cli_json json = {0};
    char text[256] = "";
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    cli_json_string(&json, "a", "q\"b\\c\n\x01\xc3\xa9\xff\xc3"); /* the last: a cut sequence */
    cli_json_number(&json, "n", 1.5);
    cli_json_number(&json, "i", 3);
    cli_json_number(&json, "bad", 0.0 / 0.0);
    cli_json_bool(&json, "yes", true);
    cli_json_string(&json, "none", NULL);
    assert_true(cli_json_write(&json, file));
    rewind(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    assert_string_equal(text, want);
    cli_json_clear(&json);
    fclose(file);
}

static void leave_cleaned(void)
{
    _exit(77);
}

/* In a child: two signals in a row, which are one wish, then (if at all) a third after a second,
 * which is another. */
static int signals(bool third)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        char name[] = "test", *arguments[] = {name, NULL}, **operands;
        int n;

        if (cli_start(&tool, 1, arguments, &operands, &n) != CLI_GO_ON)
            _exit(1);
        cli_clean_up = leave_cleaned;
        raise(SIGINT);
        raise(SIGTERM);
        if (third) {
            usleep(1010000);
            raise(SIGTERM);
        }
        _exit(cli_cancel.requested ? cli_interrupted() : 2);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_signals(void **state)
{
    (void)state;
    assert_int_equal(signals(false), 130);
    assert_int_equal(signals(true), 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_usage_errors),
        cmocka_unit_test(test_sizes_and_durations),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
