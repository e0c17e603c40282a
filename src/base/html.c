#include "base/html.h"

#include <stdio.h>
#include <string.h>

/* Every colour goes with a word or a sign. */
static const char *const look =
    ":root{color-scheme:light dark;--text:#1d1f23;--page:#fff;--line:#d8dbe0;--soft:#f3f4f6;--link:#0b57d0;"
    "--ok:#e4f4e8;--warn:#fff2cf;--bad:#fbdede;--mute:#5f656e}"
    "@media(prefers-color-scheme:dark){:root{--text:#e4e6ea;--page:#16181c;--line:#3a3e46;--soft:#24272d;"
    "--link:#8ab4f8;--ok:#16351f;--warn:#403410;--bad:#4a1d1f;--mute:#9aa0aa}}"
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:var(--text);"
    "background:var(--page)}h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;margin:.5rem 0}"
    "th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    ".ok{background:var(--ok)}.warn{background:var(--warn)}.bad{background:var(--bad)}.none{color:var(--mute)}"
    ".verdict{font-weight:600;padding:.6rem .8rem;border:1px solid var(--line);border-radius:.4rem;margin:.5rem 0;"
    "overflow-wrap:anywhere}"
    "code,pre{font:13px ui-monospace,monospace;background:var(--soft);overflow-wrap:anywhere}"
    "code{padding:.1rem .3rem}pre{padding:.5rem;white-space:pre-wrap;margin:.4rem 0}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}"
    "dt{color:var(--mute)}dd{margin:0;overflow-wrap:anywhere;white-space:pre-line}"
    "summary{cursor:pointer;font-weight:600;margin:.6rem 0}a{color:var(--link)}"
    "@media(max-width:36rem){body{margin:1rem auto}dl{grid-template-columns:1fr}dt{margin-top:.4rem}"
    "th,td{padding:.2rem .35rem}}"
    "@media print{:root{color-scheme:light;--text:#000;--page:#fff;--line:#999;--soft:#fff;--link:#000;--ok:#fff;"
    "--warn:#fff;--bad:#eee;--mute:#444}body{margin:0;max-width:none;font-size:11px}details{break-inside:auto}"
    "tr{break-inside:avoid}h2,h3,caption{break-after:avoid}.scroll{overflow:visible}table{font-size:10px}"
    "th,td{padding:.15rem .3rem}}";

void tuff_html_begin(tuff_buf *out, const char *title, const char *style)
{
    tuff_buf_text(out,
                  "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                  "content=\"width=device-width\"><title>");
    tuff_html_escape(out, title, strlen(title));
    tuff_buf_text(out, "</title>\n<style>");
    tuff_buf_text(out, look);
    tuff_buf_text(out, style);
    tuff_buf_text(out, "</style></head><body>\n<h1>");
    tuff_html_escape(out, title, strlen(title));
    tuff_buf_text(out, "</h1>\n");
}

void tuff_html_end(tuff_buf *out)
{
    tuff_buf_text(out, "</body></html>\n");
}

static const char *entity(uint32_t c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return (c < ' ' && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0) ? "\xef\xbf\xbd" : NULL;
    }
}

void tuff_html_escape(tuff_buf *out, const char *text, size_t size)
{
    for (size_t i = 0, n; i < size; i += n) {
        uint32_t c = 0;
        n = tuff_utf8_decode(text + i, size - i, &c);
        const char *instead = n ? entity(c) : "\xef\xbf\xbd";
        if (instead)
            tuff_buf_text(out, instead);
        else
            tuff_buf_bytes(out, text + i, n);
        if (!n) n = tuff_utf8_broken(text + i, size - i);
    }
}

void tuff_html_count(tuff_buf *out, int64_t n)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)n);
    const size_t size = strlen(digits);
    for (size_t i = 0; i < size; i++) {
        tuff_buf_char(out, digits[i]);
        if ((size - i) % 3 == 1 && i + 1 < size && digits[i] != '-') tuff_buf_char(out, ',');
    }
}

void tuff_html_fact(tuff_buf *out, const char *name, const char *value)
{
    if (*value == '\0') return;
    tuff_buf_text(out, "<dt>");
    tuff_html_escape(out, name, strlen(name));
    tuff_buf_text(out, "</dt><dd>");
    tuff_html_escape(out, value, strlen(value));
    tuff_buf_text(out, "</dd>");
}
