/* core/kantord/manual.c -- kantord(8), kantorctl(1), kantor.conf(5)
 *
 * What a table says (options, operations, the command line) is taken from it; here stands only what no table knows.
 */
#include "core/kantord/manual.h"

#include <string.h>

#include "core/kantord/operations.h"
#include "core/options.h"

static void head(const char *name, const char *section, const char *what, struct buffer *out)
{
    buffer_printf(out, ".TH %s %s \"\" \"Kantor %s\" \"Kantor\"\n.SH NAME\n%s \\- %s\n", name, section, KANTOR_VERSION,
                  name, what);
}

/* A dash is written so that it can be copied into a shell; a line may not begin with a dot or an apostrophe. */
static void text(struct slice s, struct buffer *out)
{
    if (s.n && (s.p[0] == '.' || s.p[0] == '\''))
        buffer_add(out, SLICE("\\&"));
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '-' || s.p[i] == '\\')
            buffer_add_char(out, '\\');
        buffer_add_char(out, s.p[i] == '\\' ? 'e' : s.p[i]);
    }
}

/* The lines "  --name VALUE   what it does" of a help text. */
static void options_of_help(const char *help, struct buffer *out)
{
    for (struct slice rest = slice_of(help); rest.n;) {
        struct slice line = slice_first(rest, slice_find(rest, '\n'));
        rest = slice_after(rest, line.n + 1);
        if (!slice_starts(line, SLICE("  --")))
            continue;
        line = slice_trim(line);
        const char *gap = memmem(line.p, line.n, "  ", 2);
        struct slice name = gap ? slice_first(line, (size_t)(gap - line.p)) : line,
                     what = gap ? slice_trim(slice_after(line, name.n)) : SLICE("");
        buffer_add(out, SLICE(".TP\n.B "));
        text(name, out);
        buffer_add_char(out, '\n');
        text(what, out);
        buffer_add_char(out, '\n');
    }
}

static void kantord_page(const char *help, struct buffer *out)
{
    head("kantord", "8", "mail server for an office", out);
    buffer_add(out,
               SLICE(".SH SYNOPSIS\n.B kantord\n[\\-\\-config \\fIFILE\\fR]\n.br\n.B kantord\n\\-\\-demo \\fIDIR\\fR "
                     "[\\-\\-port\\-base \\fIN\\fR]\n"
                     ".SH DESCRIPTION\n.B kantord\nreceives mail over SMTP, submission and LMTP and serves it over "
                     "IMAP and POP3, from one store. It reads its configuration from\n.BR kantor.conf (5)\n"
                     "and is administered with\n.BR kantorctl (1).\n.PP\nIt prints \\(lqready\\(rq on a line of its "
                     "own once every port listens. What it does is logged to standard error, one line an event.\n"
                     "Started as root it binds its ports and becomes the user of process.user.\n.SH OPTIONS\n"));
    options_of_help(help, out);
    buffer_add(out, SLICE(".SH SIGNALS\n.TP\n.B SIGHUP\nReads configuration and certificates anew, without dropping a "
                          "connection. What is wrong is logged, and what was stays.\n"
                          ".TP\n.B SIGTERM, SIGINT\nEnds cleanly: running commands finish, at most 30 seconds.\n"
                          ".SH EXIT STATUS\n0 after SIGTERM; 1 when it cannot start, with a sentence that says why; 2 "
                          "when the command line is wrong.\n"
                          ".SH FILES\n.TP\n.I /etc/kantor/kantor.conf\nThe configuration.\n.TP\n.I "
                          "/var/lib/kantor\nThe store, the control socket and, without others, the certificate.\n"
                          ".SH SEE ALSO\n.BR kantorctl (1),\n.BR kantor.conf (5)\n"));
}

static void kantorctl_page(struct buffer *out)
{
    head("kantorctl", "1", "administers kantord", out);
    buffer_add(
        out,
        SLICE(".SH SYNOPSIS\n.B kantorctl\n[\\-\\-demo \\fIDIR\\fR | \\-\\-config \\fIFILE\\fR] \\fIOPERATION\\fR ... "
              "[\\-\\-json]\n.br\n.B kantorctl help\n[\\fIOPERATION\\fR]\n"
              ".SH DESCRIPTION\n.B kantorctl\nasks the running server over its control socket; when the server is "
              "stopped it works on its files. Only root and the server's own user are served.\n"
              "People get tables, scripts get JSON with\n.BR \\-\\-json .\nPasswords are typed, or come as the first "
              "line of standard input.\n"
              ".SH OPTIONS\n.TP\n.BI \\-\\-config \" FILE\"\nThe configuration of the server (default "
              "/etc/kantor/kantor.conf).\n.TP\n.BI \\-\\-demo \" DIR\"\nThe demonstration server in DIR.\n"
              ".TP\n.B \\-\\-json\nAnswer with JSON; an error is still a line on standard error.\n.SH OPERATIONS\n"));
    operations_write_man(out);
    buffer_add(out, SLICE(".SH EXIT STATUS\n.TP\n0\nDone.\n.TP\n1\nNot done, or not all of it; standard error says why "
                          "and what to do next.\n.TP\n2\nThe command line was not understood.\n"
                          ".SH SEE ALSO\n.BR kantord (8),\n.BR kantor.conf (5)\n"));
}

static void config_page(struct buffer *out)
{
    head("kantor.conf", "5", "configuration of kantord", out);
    buffer_add(
        out,
        SLICE(
            ".SH DESCRIPTION\nWhat\n.BR kantord (8)\nneeds to start: one \\fIname\\fR = \\fIvalue\\fR a line, lines "
            "that begin with # are comments. People, domains and addresses are not here but in the store;\n"
            ".BR kantorctl (1)\nkeeps them. An option that is not written has its default. An unknown or repeated name "
            "or a value that is not possible stops the start, with the file, the line and what to write instead.\n"
            ".B kantord \\-\\-print\\-sample\nwrites a file with every option.\n.PP\nSizes take K, M and G; times take "
            "ms, s, m, h and d; lists are parted by commas; relative paths begin at the folder of the file.\n.SH "
            "OPTIONS\n"));
    config_write_man(out);
    buffer_add(out, SLICE(".SH SEE ALSO\n.BR kantord (8),\n.BR kantorctl (1)\n"));
}

bool manual_write(const char *page, const char *help, struct buffer *out)
{
    if (strcmp(page, "kantord.8") == 0)
        kantord_page(help, out);
    else if (strcmp(page, "kantorctl.1") == 0)
        kantorctl_page(out);
    else if (strcmp(page, "kantor.conf.5") == 0)
        config_page(out);
    else
        return false;
    return true;
}
