/* tuff devices */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static const char *const types[] = {"discrete", "integrated", "virtual", "cpu", "software"};

static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "Options:"},
    TUFF_CLI_JSON_ROW("print a JSON array with one object per device"),
    TUFF_CLI_QUIET_ROW,
};
static const tuff_args spec = {
    .verb = "devices",
    .usage = "[options]",
    .about =
        "Lists the devices that Tuff can compute on, best first. The first one is used where neither --device nor "
        "TUFF_DEVICE names one; the last column says why. Any index, UUID, backend or part of a name or driver's "
        "name is a name for --device. A kernel is tested before its first use on a device; what was found is listed below the table.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .examples = "tuff devices\n"
                "tuff devices --json",
};

static void print_json(const tuff_device_info *list, size_t count)
{
    printf("[");
    for (size_t i = 0; i < count; i++) {
        const tuff_device_info *d = &list[i];
        const struct {
            const char *key, *value;
        } texts[] = {{"name", d->name}, {"driver", d->driver},    {"backend", d->backend},
                     {"uuid", d->uuid}, {"type", types[d->type]}, {"reason", d->reason}};
        printf("%s\n  {\"index\": %zu, ", i ? "," : "", i);
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
            printf("\"%s\": ", texts[k].key);
            tuff_cli_json_text(stdout, texts[k].value, strlen(texts[k].value));
            printf(", ");
        }
        printf(
            "\"memory_bytes\": %llu, \"usable\": %s, \"default\": %s, \"rows_tested\": %u, \"rows_wrong\": %u, "
            "\"wrong_rows\": ",
            (unsigned long long)d->memory_bytes, d->usable ? "true" : "false",
            i == 0 && d->usable ? "true" : "false", d->rows_tested, d->rows_wrong);
        tuff_cli_json_text(stdout, d->wrong_rows, strlen(d->wrong_rows));
        printf("}");
    }
    printf("\n]\n");
}

static void print_row(const tuff_device_info *list, size_t i, int name, int driver)
{
    const tuff_device_info *d = &list[i];
    printf("%c %2zu %-*s  %-*s  %-10s  %8s  %-6s  %s\n", i == 0 && d->usable ? '*' : ' ', i, name, d->name,
           driver, *d->driver ? d->driver : "-", types[d->type], tuff_cli_bytes(d->memory_bytes),
           d->usable ? "yes" : "no", d->reason);
}

/* The same where a row would not fit: a device on lines of its own. */
static void print_block(const tuff_device_info *list, size_t i, int width)
{
    const tuff_device_info *d = &list[i];
    char line[1024];
    snprintf(line, sizeof line, "%c %2zu %s", i == 0 && d->usable ? '*' : ' ', i, d->name);
    tuff_cli_wrap(stdout, width, line, 0, 5);
    snprintf(line, sizeof line, "     %s%s%s, %s", d->driver, *d->driver ? "; " : "", types[d->type],
             tuff_cli_bytes(d->memory_bytes));
    tuff_cli_wrap(stdout, width, line, 0, 5);
    snprintf(line, sizeof line, "     %s, %s", d->usable ? "usable" : "not usable", d->reason);
    tuff_cli_wrap(stdout, width, line, 0, 5);
}

static void print_table(const tuff_device_info *list, size_t count)
{
    int name = 4, driver = 6, why = 3, width = tuff_cli_columns(stdout);
    for (size_t i = 0; i < count; i++) {
        if ((int)strlen(list[i].name) > name) name = (int)strlen(list[i].name);
        if ((int)strlen(list[i].driver) > driver) driver = (int)strlen(list[i].driver);
        if ((int)strlen(list[i].reason) > why) why = (int)strlen(list[i].reason);
    }
    bool narrow = width && name + driver + why + 41 > width;
    if (!narrow)
        printf("   # %-*s  %-*s  %-10s  %8s  %-6s  why\n", name, "name", driver, "driver", "type", "memory",
               "usable");
    for (size_t i = 0; i < count; i++)
        if (narrow)
            print_block(list, i, width);
        else
            print_row(list, i, name, driver);
    printf("* the default\n");
    for (size_t i = 0; i < count; i++) {
        const tuff_device_info *d = &list[i];
        char line[512] = "";
        if (d->rows_wrong)
            snprintf(line, sizeof line,
                     "%zu: kernels tested with this driver: %u; wrong and not used: %u (%s)", i,
                     d->rows_tested, d->rows_wrong, d->wrong_rows);
        else if (d->rows_tested)
            snprintf(line, sizeof line, "%zu: kernels tested with this driver: %u, all right", i,
                     d->rows_tested);
        if (*line) tuff_cli_wrap(stdout, width ? width : (int)sizeof line, line, 0, 3);
    }
}

int tuff_cli_devices(int argc, char **argv)
{
    tuff_cli_common options = {0};
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    tuff_cli_begin(&options);
    size_t room = 0, count = 0;
    if (tuff_list_devices(NULL, 0, &room) != TUFF_OK) return tuff_cli_failed();
    tuff_device_info *list = calloc(room + 1, sizeof *list);
    if (!list) {
        tuff_cli_say("tuff: out of memory");
        return TUFF_EXIT_FAILED;
    }
    int code = TUFF_EXIT_OK;
    list[0] = (tuff_device_info)TUFF_DEVICE_INFO_INIT;
    if (tuff_list_devices(list, room, &count) != TUFF_OK)
        code = tuff_cli_failed();
    else if (options.json)
        print_json(list, count < room ? count : room);
    else
        print_table(list, count < room ? count : room);
    free(list);
    return code;
}
