/* mail/filter/milter_wire.c */
#include "mail/filter/milter_wire.h"

static uint32_t number_of(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

int64_t milter_packet_read(struct slice in, struct milter_packet *out)
{
    if (in.n < 4)
        return 0;
    uint32_t n = number_of(in.p);
    if (n == 0 || n > MILTER_PACKET_MAX)
        return -1;
    if (in.n < 4 + (size_t)n)
        return 0;
    *out = (struct milter_packet){in.p[4], slice_make(in.p + 5, n - 1)};
    return 4 + (int64_t)n;
}

bool milter_text(struct slice *data, struct slice *text)
{
    size_t n = slice_find(*data, '\0');
    if (n == data->n)
        return false;
    *text = slice_first(*data, n);
    *data = slice_after(*data, n + 1);
    return true;
}

bool milter_number(struct slice *data, uint32_t *number)
{
    if (data->n < 4)
        return false;
    *number = number_of(data->p);
    *data = slice_after(*data, 4);
    return true;
}

bool milter_reply(struct slice text, int *code, struct slice *enhanced, struct slice *sentence)
{
    uint64_t n;
    struct slice line = slice_trim(slice_first(text, slice_find(text, '\n')));
    if (!slice_number(slice_first(line, 3), 599, &n) || n < 400 || (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-'))
        return false;
    *code = (int)n;
    *enhanced = SLICE("");
    *sentence = slice_trim(slice_after(line, 4));
    struct slice word = slice_first(*sentence, slice_find(*sentence, ' '));
    size_t dots = 0;
    for (size_t i = 0; i < word.n; i++)
        dots += word.p[i] == '.' ? 1 : ascii_is_digit(word.p[i]) ? 0 : 10;
    if (dots == 2 && word.n >= 5 && word.n <= 9 && word.p[1] == '.' && word.p[word.n - 1] != '.') {
        *enhanced = word;
        *sentence = slice_trim(slice_after(*sentence, word.n));
    }
    return true;
}

void milter_begin(struct buffer *out, char command)
{
    buffer_clear(out);
    milter_put_number(out, 0);
    buffer_add_char(out, command);
}

void milter_put_number(struct buffer *out, uint32_t number)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        buffer_add_char(out, (char)(unsigned char)(number >> shift & 0xFF));
}

void milter_put_text(struct buffer *out, struct slice text)
{
    while (text.n) {
        size_t n = slice_find(text, '\0');
        buffer_add(out, slice_first(text, n));
        text = slice_after(text, n + 1);
    }
    buffer_add_char(out, '\0');
}

void milter_end(struct buffer *out)
{
    if (out->failed)
        return;
    uint32_t n = (uint32_t)buffer_length(out) - 4;
    for (int i = 0; i < 4; i++)
        out->bytes[out->start + (size_t)i] = (char)(unsigned char)(n >> (24 - 8 * i) & 0xFF);
}
