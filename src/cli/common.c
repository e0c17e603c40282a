/* Messages, errors and devices, the same for every verb. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <tuff/host.h>
#include <tuff/kernels.h>
#include <tuff/program.h>

#include "cli/cli.h"

static bool line_shown;

void tuff_cli_show_line(const char *text)
{
    if (!line_shown && !*text) return;
    fprintf(stderr, "\r%s\033[K", text);
    fflush(stderr);
    line_shown = *text != 0;
}

void tuff_cli_say(const char *format, ...)
{
    va_list args;
    tuff_cli_show_line("");
    fflush(stdout);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void tuff_cli_print_line(tuff_piece text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i],
                      next = i + 1 < text.size ? (unsigned char)text.data[i + 1] : 0;
        bool latin = c == 0xc2 && next >= 0x80 && next < 0xa0; /* U+0080 to U+009F control terminals, too */
        putchar(c < 0x20 || c == 0x7f || latin ? ' ' : c);
        i += latin;
    }
    putchar('\n');
}

void tuff_cli_row(const char *word, const char *format, ...)
{
    enum { COLUMN = 9 };
    char text[4352]; /* it may have a path in it */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int columns = tuff_cli_columns(stderr);
    size_t room = columns ? (size_t)(columns - COLUMN) : SIZE_MAX, size = strlen(text);
    for (const char *at = text; size; word = "") {
        size_t cut = size;
        if (size > room)
            for (cut = room; cut && at[cut] != ' ';)
                cut--;
        if (cut == 0) cut = strcspn(at, " "); /* a word that fits no line */
        tuff_cli_say("%-*s%.*s", COLUMN, word, (int)cut, at);
        at += cut;
        at += strspn(at, " ");
        size = strlen(at);
    }
}

void tuff_cli_wrap(FILE *out, int width, const char *line, int at, int indent)
{
    bool begun = false,
         word = false; /* word: this line has one, so that there is something to break behind */
    for (; *line; begun = true) {
        int size = (int)strcspn(line, " ");
        if (word && at + 1 + size > width) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        } else if (begun) {
            fputc(' ', out);
            at++;
        }
        fprintf(out, "%.*s", size, line);
        word = word || size > 0;
        at += size;
        line += size + (line[size] == ' ');
    }
    fputc('\n', out);
}

static void log_message(tuff_log_level level, const char *message, void *user)
{
    static const char *const words[] = {"error: ", "warning: ", "", ""};
    (void)user;
    tuff_cli_say("tuff: %s%s", words[level], message);
}

void tuff_cli_begin(const tuff_cli_common *common)
{
    tuff_cli_watch_shown(common);
    tuff_set_log(log_message,
                 common->verbose ? TUFF_LOG_INFO
                 : common->quiet ? TUFF_LOG_ERROR
                                 : TUFF_LOG_WARN,
                 NULL);
}

static tuff_status open_device(const tuff_cli_common *common, bool profile,
                               tuff_status (*open)(const tuff_device_params *params,
                                                   tuff_device **out_device),
                               tuff_device **out_device)
{
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    params.name = common->device;
    params.validate = common->validate;
    params.profile = profile;
    params.threads = (uint32_t)common->threads;
    tuff_status status = open(&params, out_device);
    if (status == TUFF_OK && common->verbose) {
        const tuff_device_info *info = tuff_device_get_info(*out_device);
        tuff_cli_say("tuff: on %s%s%s (%s)", info->name, *info->driver ? ", " : "", info->driver,
                     info->backend);
    }
    return status;
}

tuff_status tuff_cli_open_device(const tuff_cli_common *common, bool profile, tuff_device **out_device)
{
    return open_device(common, profile, tuff_device_open, out_device);
}

tuff_status tuff_cli_open_to_compile(const tuff_cli_common *common, tuff_device **out_device)
{
    return open_device(common, false, tuff_device_open_to_compile, out_device);
}

void tuff_cli_device_stats(const tuff_cli_common *common, const tuff_device *device)
{
    tuff_device_stats s = TUFF_DEVICE_STATS_INIT;
    if (!common->verbose || tuff_device_get_stats(device, &s) != TUFF_OK) return;
    tuff_cli_say(
        "tuff: device memory %s, %llu allocations; %llu command buffers, %llu submits, %llu dispatches",
        tuff_cli_bytes(s.bytes), (unsigned long long)s.allocations, (unsigned long long)s.recorded,
        (unsigned long long)s.submits, (unsigned long long)s.dispatches);
}

void tuff_cli_generate_memory(const tuff_cli_common *common, const tuff_generate_memory *m)
{
    if (common->verbose)
        tuff_cli_say("tuff: memory: weights %s + cache %s + arena %s + transfers %s = %s",
                     tuff_cli_bytes(m->weights), tuff_cli_bytes(m->cache), tuff_cli_bytes(m->arena),
                     tuff_cli_bytes(m->transfers), tuff_cli_bytes(m->total));
}

int tuff_cli_failed(void)
{
    tuff_cli_say("tuff: %s", tuff_error_message());
    return TUFF_EXIT_FAILED;
}

void tuff_cli_stdout_failed(int error)
{
    static bool told;
    if (!told)
        tuff_cli_say("tuff: standard output cannot be written%s%s", error ? ": " : "",
                     error ? strerror(error) : "");
    told = true;
}

bool tuff_cli_flush(void)
{
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        tuff_cli_stdout_failed(errno);
        return false;
    }
    return fflush(stderr) == 0 && !ferror(stderr); /* there is nobody to tell */
}

int64_t tuff_cli_block_size(const tuff_model *model, int64_t wanted)
{
    enum { USUAL = 1024 };
    tuff_model_info info = TUFF_MODEL_INFO_INIT;
    if (wanted || tuff_model_get_info(model, &info) != TUFF_OK) return wanted;
    return info.context_length < USUAL ? info.context_length : USUAL;
}

static bool holds(const char *directory, const char *const *names, size_t count)
{
    char path[4096];
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        if (tuff_cli_exists(path)) return true;
    }
    return false;
}

bool tuff_cli_holds_model(const char *directory)
{
    static const char *const names[] = {"config.json", "model.safetensors", "model.safetensors.index.json",
                                        "pytorch_model.bin", "pytorch_model.bin.index.json"};
    return holds(directory, names, sizeof names / sizeof names[0]);
}

bool tuff_cli_holds_adapter(const char *directory)
{
    static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors",
                                        "adapter_model.bin"};
    return holds(directory, names, sizeof names / sizeof names[0]);
}

/* JSON that looks like records of another program, or a file of records by its name that are none: but what
 * stands for another file, or is no text, is none either way. */
static bool may_be_text(tuff_status status, const char *path)
{
    const char *why = tuff_error_message();
    const bool other = strstr(why, " is Parquet") || strstr(why, " Git LFS");
    return !other && (status == TUFF_UNSUPPORTED ||
                      (status == TUFF_BAD_FORMAT && path && tuff_cli_names_records(path)));
}

int tuff_cli_text_failed(tuff_status status, const char *path, const char *option)
{
    if (!option || !may_be_text(status, path)) return tuff_cli_failed();
    tuff_cli_say("tuff: %s, or give --%s text to take the file as it is", tuff_error_message(), option);
    return TUFF_EXIT_FAILED;
}

bool tuff_cli_profile(char *table, char *trace, const char *path)
{
    bool ok = true;
    if (table) tuff_cli_say("%s", table);
    if (path && trace) {
        const char *why;
        FILE *file = tuff_cli_create(path, false, &why);
        errno = 0;
        ok = file && fputs(trace, file) >= 0;
        if (file && fclose(file) != 0) ok = false;
        if (!ok) tuff_cli_say("tuff: %s cannot be written: %s", path, why ? why : strerror(errno));
    }
    tuff_free(table);
    tuff_free(trace);
    return ok;
}
