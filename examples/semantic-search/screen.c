#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE /* TIOCGWINSZ */
#include "screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { QUERY_LIMIT = 1024, WIDE = 100, ESCAPE = 27, CTRL_C = 3, CTRL_D = 4, CTRL_U = 21, BACKSPACE = 127 };

void print_line(const char *head, const char *text, size_t size, int columns)
{
    int left = columns - (int)strlen(head);
    bool blank = false;
    fputs(head, stdout);
    for (size_t i = 0; i < size && left > 0; i++) {
        unsigned char c = (unsigned char)text[i];
        bool is_blank = c <= ' ';
        if (is_blank && blank) continue;
        bool inside = (c & 0xc0) == 0x80; /* of a character that takes several bytes */
        putchar(is_blank ? ' ' : c);
        blank = is_blank;
        left -= !inside;
    }
    putchar('\n');
}

static int columns_of_terminal(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col - 1 : WIDE;
}

static bool ask_lines(answer_fn answer, void *user)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    bool ok = true;
    while (ok && (size = getline(&line, &capacity, stdin)) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (!*line) continue;
        printf("> %s\n", line);
        ok = answer(user, line, WIDE) >= 0;
    }
    free(line);
    return ok;
}

static void show_query(const char *query)
{
    printf("\r\033[J> %s", query);
}

/* Answers below the query, then the cursor goes back to it. */
static bool show_answers(answer_fn answer, void *user, const char *query)
{
    show_query(query);
    putchar('\n');
    int lines = *query ? answer(user, query, columns_of_terminal()) : 0;
    printf("\033[%dA", (lines > 0 ? lines : 0) + 1);
    printf("\r> %s", query);
    fflush(stdout);
    return lines >= 0;
}

/* Takes off the last character, all of its bytes. */
static void shorten(char *query)
{
    size_t n = strlen(query);
    while (n > 0 && ((unsigned char)query[--n] & 0xc0) == 0x80)
        query[n] = '\0';
    query[n] = '\0';
}

/* What one read brought, typed or pasted. False: the user wants to leave. */
static bool edit(char query[QUERY_LIMIT], const char *keys, ssize_t count)
{
    if (keys[0] == ESCAPE)
        return count > 1; /* alone it is the key; with more an arrow or another one: ignored */
    for (ssize_t i = 0; i < count; i++) {
        size_t n = strlen(query);
        unsigned char c = (unsigned char)keys[i];
        if (c == CTRL_C || c == CTRL_D) return false;
        if (c == CTRL_U)
            query[0] = '\0';
        else if (c == BACKSPACE || c == '\b')
            shorten(query);
        else if (c >= ' ' && n + 1 < QUERY_LIMIT) {
            query[n] = (char)c;
            query[n + 1] = '\0';
        }
    }
    return true;
}

static bool ask_terminal(answer_fn answer, void *user)
{
    struct termios before, raw;
    char query[QUERY_LIMIT] = "", keys[64];
    if (tcgetattr(STDIN_FILENO, &before) != 0) return ask_lines(answer, user);
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    printf("Type to search; Escape ends.\n");
    bool ok = show_answers(answer, user, query);
    ssize_t count;
    while (ok && (count = read(STDIN_FILENO, keys, sizeof keys)) > 0 && edit(query, keys, count))
        ok = show_answers(answer, user, query);
    printf("\r\033[J");
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    return ok;
}

bool ask(answer_fn answer, void *user)
{
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    return terminal ? ask_terminal(answer, user) : ask_lines(answer, user);
}
