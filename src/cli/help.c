/* The help of a verb, from its table. */
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/cli.h"

enum { WIDTH = 100, COLUMN = 36 };

/* Prints words from column `at` on, continued at column `indent`. */
static void wrap(const char *text, int at, int indent)
{
    for (bool begun = false; *text; begun = true) {
        int size = (int)strcspn(text, " ");
        if (begun && at + 1 + size > WIDTH) {
            printf("\n%*s", indent, "");
            at = indent;
        } else if (begun) {
            putchar(' ');
            at++;
        }
        printf("%.*s", size, text);
        at += size;
        text += size + (text[size] == ' ');
    }
    putchar('\n');
}

static void default_of(const tuff_arg *arg, const void *options, char *out, size_t size)
{
    const char *field = (const char *)options + arg->offset;
    int64_t whole;
    double real;
    int choice;
    out[0] = 0;
    if (arg->preset) {
        if (*arg->preset) snprintf(out, size, " (default: %s)", arg->preset);
        return;
    }
    switch (arg->kind) {
    case TUFF_ARG_INT:
        memcpy(&whole, field, sizeof whole);
        snprintf(out, size, " (default: %lld)", (long long)whole);
        break;
    case TUFF_ARG_REAL:
        memcpy(&real, field, sizeof real);
        snprintf(out, size, " (default: %g)", real);
        break;
    case TUFF_ARG_CHOICE: {
        memcpy(&choice, field, sizeof choice);
        const char *word = arg->value;
        for (int i = 0; i < choice; i++)
            word += strcspn(word, "|") + 1;
        snprintf(out, size, " (default: %.*s)", (int)strcspn(word, "|"), word);
        break;
    }
    default:
        break;
    }
}

static void print_option(const tuff_arg *arg, const void *options)
{
    char left[96], text[1024], preset[128];
    const char *dashes = arg->kind == TUFF_ARG_POSITION ? "" : "--";
    if (arg->kind == TUFF_ARG_OPTIONAL)
        snprintf(left, sizeof left, "  --%s [%s]", arg->name, arg->value);
    else
        snprintf(left, sizeof left, "  %s%s%s%s", dashes, arg->name, arg->value ? " " : "",
                 arg->value ? arg->value : "");
    default_of(arg, options, preset, sizeof preset);
    snprintf(text, sizeof text, "%s%s%s", arg->help, arg->required ? " (required)" : "", preset);
    int at = (int)strlen(left);
    printf("%s", left);
    if (at > COLUMN - 2) {
        putchar('\n');
        at = 0;
    }
    printf("%*s", COLUMN - at, "");
    wrap(text, COLUMN, COLUMN);
}

void tuff_args_help(const tuff_args *args, const void *options)
{
    printf("Usage: tuff %s %s\n\n", args->verb, args->usage);
    wrap(args->about, 0, 0);
    if (args->items[0].kind != TUFF_ARG_GROUP) putchar('\n');
    for (size_t i = 0; i < args->count; i++) {
        if (args->items[i].kind == TUFF_ARG_GROUP)
            printf("\n%s\n", args->items[i].name);
        else
            print_option(&args->items[i], options);
    }
    print_option(&(tuff_arg){.kind = TUFF_ARG_FLAG, .name = "help", .help = "print this help"}, options);
    if (args->notes) printf("\n%s\n", args->notes);
}
