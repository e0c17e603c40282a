/* What data sets hold, before they are trained on or measured with. */
#include <string.h>

#include "cli/cli.h"

enum { BAR = 30, LABELS = 12 };

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

/* "as messages, by the model's chat template". */
static void print_format(const tuff_data_report *r, char *out, size_t size)
{
    static const char *const formats[][3] = {
        {"messages", "messages", ""},
        {"sharegpt", "ShareGPT", ""},
        {"completion", "prompt and completion", "one behind the other, without a chat template"},
        {"alpaca", "Alpaca", "in Alpaca's layout, as the model has no chat template"}};
    const char *by = strcmp(r->chat_template, "model") == 0   ? "by the model's chat template"
                     : strcmp(r->chat_template, "given") == 0 ? "by the chat template given"
                                                              : NULL;
    *out = 0;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(r->format, formats[i][0]) == 0)
            snprintf(out, size, " (%s), %s", formats[i][1], by ? by : formats[i][2]);
}

static void print_lengths(const tuff_data_report *r)
{
    int64_t most = 1;
    if (!r->bar) return;
    tuff_cli_row("lengths", "%s to %s tokens; half of them up to %s, 95 %% up to %s",
                 tuff_cli_count(r->shortest), tuff_cli_count(r->longest), tuff_cli_count(r->median),
                 tuff_cli_count(r->p95));
    for (int i = 0; i < TUFF_DATA_BARS; i++)
        if (r->bars[i] > most) most = r->bars[i];
    for (int i = (int)((r->shortest - 1) / r->bar); i < TUFF_DATA_BARS && (int64_t)i * r->bar < r->longest;
         i++) {
        char bar[BAR + 1] = "";
        const int n = (int)((r->bars[i] * BAR + most - 1) / most);
        memset(bar, '#', (size_t)n);
        bar[n] = 0;
        tuff_cli_row("", "%6lld-%-6lld %7s  %s", (long long)(i * r->bar + 1), (long long)((i + 1) * r->bar),
                     tuff_cli_count(r->bars[i]), bar);
    }
}

static void print_left_out(const tuff_data_report *r)
{
    if (r->malformed && !r->empty && !r->unanswered)
        tuff_cli_row("left out", "%s malformed record%s", tuff_cli_count(r->malformed), plural(r->malformed));
    else if (r->malformed || r->empty || r->unanswered)
        tuff_cli_row("left out",
                     "%s malformed, %s with an empty answer, %s whose answer is behind --max-length",
                     tuff_cli_count(r->malformed), tuff_cli_count(r->empty), tuff_cli_count(r->unanswered));
}

/* What is not as its writer may think it is. */
static void print_oddities(const tuff_data_report *r)
{
    print_left_out(r);
    if (r->cut)
        tuff_cli_row("cut", "%s example%s longer than --max-length", tuff_cli_count(r->cut),
                     r->cut == 1 ? " is" : "s are");
    if (r->windows_lines)
        tuff_cli_row("turned", "%s line end%s as on Windows (\\r\\n), read as \\n",
                     tuff_cli_count(r->windows_lines), plural(r->windows_lines));
    if (r->duplicates)
        tuff_cli_row("repeated", "%s example%s that stand%s there before, token by token",
                     tuff_cli_count(r->duplicates), plural(r->duplicates), r->duplicates == 1 ? "s" : "");
    if (r->shared)
        tuff_cli_row(
            "shared",
            "%s answer%s begin within a token that the prompt began; a prompt that does not end with a "
            "space is better",
            tuff_cli_count(r->shared), plural(r->shared));
}

static void print_labels(const tuff_dataset *data)
{
    const char *name;
    int64_t count;
    size_t n = 0;
    for (; tuff_dataset_label(data, n, &name, &count); n++)
        if (n < LABELS) tuff_cli_row(n ? "" : "labels", "%7s  %.60s", tuff_cli_count(count), name);
    if (n > LABELS) tuff_cli_row("", "and %zu more", n - LABELS);
}

void tuff_cli_report(const char *what, const char *path, const tuff_dataset *data)
{
    tuff_data_report r = TUFF_DATA_REPORT_INIT;
    char format[160];
    if (tuff_dataset_get_report(data, &r) != TUFF_OK) return;
    print_format(&r, format, sizeof format);
    tuff_cli_row(what, "%s: %s %s%s%s, %s tokens", path, tuff_cli_count(r.examples),
                 *format ? "conversation" : "example", plural(r.examples), format, tuff_cli_count(r.tokens));
    if (r.labels)
        tuff_cli_row("learned", "%s of %s tokens (%.0f %%)", tuff_cli_count(r.labels),
                     tuff_cli_count(r.tokens), 100 * (double)r.labels / (double)r.tokens);
    if (r.rows)
        tuff_cli_row("packed", "%s row%s, %.1f conversations each", tuff_cli_count(r.rows), plural(r.rows),
                     (double)r.examples / (double)r.rows);
    print_lengths(&r);
    print_labels(data);
    print_oddities(&r);
}

void tuff_cli_report_left_out(const tuff_dataset *data)
{
    tuff_data_report r = TUFF_DATA_REPORT_INIT;
    if (tuff_dataset_get_report(data, &r) == TUFF_OK) print_left_out(&r);
}

void tuff_cli_report_known(const tuff_dataset *validation, const tuff_dataset *train)
{
    int64_t known = 0, all = tuff_dataset_blocks(validation);
    tuff_data_report r = TUFF_DATA_REPORT_INIT;
    if (tuff_dataset_count_known(validation, train, &known) != TUFF_OK || !known) return;
    if (tuff_dataset_get_report(validation, &r) == TUFF_OK) all = r.examples;
    tuff_cli_say(
        "tuff: warning: %s of %s validation examples are in the training data, too: they measure what was learned "
        "by heart",
        tuff_cli_count(known), tuff_cli_count(all));
}

/* ---- for machines */

static void print_json_labels(FILE *out, const tuff_dataset *data)
{
    const char *name;
    int64_t count;
    for (size_t i = 0; tuff_dataset_label(data, i, &name, &count); i++) {
        fputs(i ? ", " : ", \"label_counts\": {", out);
        tuff_cli_json_text(out, name, strlen(name));
        fprintf(out, ": %lld", (long long)count);
    }
    if (tuff_dataset_label(data, 0, &name, &count)) fputc('}', out);
}

void tuff_cli_report_json(FILE *out, const tuff_dataset *data, const tuff_dataset *train)
{
    tuff_data_report r = TUFF_DATA_REPORT_INIT;
    int64_t known = 0;
    if (tuff_dataset_get_report(data, &r) != TUFF_OK) {
        fputs("null", out);
        return;
    }
    fprintf(out, "{\"examples\": %lld, \"tokens\": %lld", (long long)r.examples, (long long)r.tokens);
    if (*r.format)
        fprintf(
            out,
            ", \"format\": \"%s\", \"chat_template\": \"%s\", \"learned_tokens\": %lld, \"shared\": %lld, "
            "\"rows\": %lld",
            r.format, r.chat_template, (long long)r.labels, (long long)r.shared, (long long)r.rows);
    fprintf(
        out,
        ", \"malformed\": %lld, \"empty\": %lld, \"unanswered\": %lld, \"cut\": %lld, \"duplicates\": %lld"
        ", \"windows_lines\": %lld",
        (long long)r.malformed, (long long)r.empty, (long long)r.unanswered, (long long)r.cut,
        (long long)r.duplicates, (long long)r.windows_lines);
    if (r.bar) {
        fprintf(
            out,
            ", \"lengths\": {\"min\": %lld, \"median\": %lld, \"p95\": %lld, \"max\": %lld, \"bar\": %lld, \"bars\": [",
            (long long)r.shortest, (long long)r.median, (long long)r.p95, (long long)r.longest,
            (long long)r.bar);
        for (int i = 0; i < TUFF_DATA_BARS; i++)
            fprintf(out, "%s%lld", i ? ", " : "", (long long)r.bars[i]);
        fputs("]}", out);
    }
    print_json_labels(out, data);
    if (train && tuff_dataset_count_known(data, train, &known) == TUFF_OK)
        fprintf(out, ", \"in_training_data\": %lld", (long long)known);
    fputc('}', out);
}
