/* Floats as text and back, whatever the host program's locale has for a decimal point. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jinja/value.h"

bool tuff_jinja_read_real(tuff_view text, double *out)
{
    char copy[400];
    size_t size = 0;
    const char *point = localeconv()->decimal_point;
    for (size_t i = 0; i < text.size; i++) {
        if (size + strlen(point) >= sizeof copy) return false;
        if (text.data[i] == '_') continue;
        if (text.data[i] != '.') {
            copy[size++] = text.data[i];
            continue;
        }
        memcpy(copy + size, point, strlen(point));
        size += strlen(point);
    }
    copy[size] = 0;
    char *end;
    *out = strtod(copy, &end);
    return size > 0 && *end == 0;
}

/* The fewest digits that read back as the same double, and the exponent of the first. */
static int shortest(double value, char digits[24], int *out_exponent)
{
    char text[48];
    for (int count = 0; count <= 16; count++) {
        snprintf(text, sizeof text, "%.*e", count, value);
        if (strtod(text, NULL) == value) break;
    }
    int count = 0;
    const char *c = text;
    for (; *c && *c != 'e'; c++) /* the host program's locale may have any decimal point */
        if (*c >= '0' && *c <= '9' && count < 23) digits[count++] = *c;
    *out_exponent = *c ? (int)strtol(c + 1, NULL, 10) : 0;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    digits[count] = 0;
    return count;
}

void tuff_jinja_spell_real(tuff_buf *out, double value)
{
    char digits[24];
    int exponent;
    if (isnan(value)) {
        tuff_buf_text(out, "nan");
        return;
    }
    if (signbit(value)) tuff_buf_char(out, '-');
    if (isinf(value)) {
        tuff_buf_text(out, "inf");
        return;
    }
    const int count = shortest(fabs(value), digits, &exponent);
    if (exponent < -4 || exponent >= 16) {
        tuff_buf_char(out, digits[0]);
        if (count > 1) tuff_buf_printf(out, ".%s", digits + 1);
        tuff_buf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        tuff_buf_text(out, "0.");
        for (int i = exponent; i < -1; i++)
            tuff_buf_char(out, '0');
        tuff_buf_text(out, digits);
    } else {
        for (int i = 0; i <= exponent || i < count; i++) {
            if (i == exponent + 1) tuff_buf_char(out, '.');
            tuff_buf_char(out, i < count ? digits[i] : '0');
        }
        if (count <= exponent + 1) tuff_buf_text(out, ".0");
    }
}
