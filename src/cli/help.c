/* The help of a verb, from its table. */
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/cli.h"

/* Where there is room, what an option does stands beside it, else below. */
enum { WIDEST = 100, COLUMN = 36, BESIDE = 76, BELOW = 8 };

/* Of the terminal that is written to, or that a pager behind a pipe most likely writes to. */
static int width_of(FILE *out)
{
    int columns = tuff_cli_columns(out);
    if (!columns) columns = tuff_cli_columns(stderr);
    return columns && columns < WIDEST ? columns : WIDEST;
}

void tuff_cli_paragraphs(FILE *out, const char *text)
{
    int width = width_of(out);
    while (*text) {
        char line[1024];
        int size = (int)strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", size, text);
        /* what goes on stands under the second column of a table, else under the line's begin */
        int indent = (int)strspn(line, " ");
        const char *gap = strstr(line + indent, "  ");
        if (gap) indent = (int)(gap - line) + (int)strspn(gap, " ");
        tuff_cli_wrap(out, width, line, 0, indent);
        text += size + (text[size] == '\n');
    }
}

static void default_of(const tuff_arg *arg, const void *options, char *out, size_t size)
{
    const bool has_one =
        arg->kind == TUFF_ARG_INT || arg->kind == TUFF_ARG_REAL || arg->kind == TUFF_ARG_CHOICE;
    char value[64];
    out[0] = 0;
    if (arg->preset) {
        if (*arg->preset) snprintf(out, size, " (default: %s)", arg->preset);
        return;
    }
    if (has_one && tuff_args_value(arg, options, value, sizeof value))
        snprintf(out, size, " (default: %s)", value);
}

/* An option with its value; the words of a long choice go on under the first of them. Where the line ends. */
static int print_left(const char *left, int width)
{
    int indent = (int)(strrchr(left, ' ') - left) + 1, at = 0;
    while (*left) {
        int size = (int)strcspn(left, "|");
        size += left[size] == '|';
        if (at + size > width && at > indent) {
            printf("\n%*s", indent, "");
            at = indent;
        }
        printf("%.*s", size, left);
        left += size;
        at += size;
    }
    return at;
}

static void print_option(const tuff_arg *arg, const void *options)
{
    int width = width_of(stdout), column = width >= BESIDE ? COLUMN : BELOW;
    char left[192], text[1024], preset[128];
    const char *dashes = arg->kind == TUFF_ARG_POSITION ? "" : "--";
    if (arg->kind == TUFF_ARG_OPTIONAL)
        snprintf(left, sizeof left, "  --%s [%s]", arg->name, arg->value);
    else
        snprintf(left, sizeof left, "  %s%s%s%s", dashes, arg->name, arg->value ? " " : "",
                 arg->value ? arg->value : "");
    default_of(arg, options, preset, sizeof preset);
    snprintf(text, sizeof text, "%s%s%s", arg->help, arg->required ? " (required)" : "", preset);
    int at = print_left(left, width);
    if (at > column - 2) {
        putchar('\n');
        at = 0;
    }
    printf("%*s", column - at, "");
    tuff_cli_wrap(stdout, width, text, column, column);
}

/* Bytes of the next word; what is in quotes is one, and so is an option with its value. */
static int word_of(const char *text)
{
    int size = 0;
    bool option = strncmp(text, "--", 2) == 0;
    for (char quote = 0; text[size] && text[size] != '\n'; size++)
        if (text[size] == quote)
            quote = 0;
        else if (!quote && (text[size] == '"' || text[size] == '\''))
            quote = text[size];
        else if (!quote && text[size] == ' ') {
            if (!option || strncmp(text + size, " --", 3) == 0) break;
            option = false;
        }
    return size;
}

/* Commands, which can be copied also where they do not fit in a line. */
static void print_examples(const char *text)
{
    enum { INDENT = 2, DEEPER = 6, BACKSLASH = 2 };
    const int width = width_of(stdout);
    while (*text) {
        int at = printf("%*s", INDENT, "");
        for (bool begun = false; *text && *text != '\n'; begun = true) {
            const int size = word_of(text);
            if (begun && at + 1 + size + BACKSLASH > width) {
                printf(" \\\n");
                at = printf("%*s", DEEPER, "");
            } else if (begun)
                at += printf(" ");
            at += printf("%.*s", size, text);
            text += size;
            text += *text == ' ';
        }
        putchar('\n');
        text += *text == '\n';
    }
}

void tuff_args_help(const tuff_args *args, const void *options)
{
    char usage[256];
    snprintf(usage, sizeof usage, "Usage: tuff %s %s\n\n", args->verb, args->usage);
    tuff_cli_paragraphs(stdout, usage);
    tuff_cli_paragraphs(stdout, args->about);
    if (args->items[0].kind != TUFF_ARG_GROUP) putchar('\n');
    for (size_t i = 0; i < args->count; i++) {
        if (args->items[i].kind == TUFF_ARG_GROUP) {
            putchar('\n');
            tuff_cli_paragraphs(stdout, args->items[i].name);
        } else
            print_option(&args->items[i], options);
    }
    print_option(&(tuff_arg){.kind = TUFF_ARG_FLAG, .name = "help", .help = "print this help"}, options);
    if (args->notes) {
        putchar('\n');
        tuff_cli_paragraphs(stdout, args->notes);
    }
    if (!args->examples) return;
    puts("\nExamples:");
    print_examples(args->examples);
}
