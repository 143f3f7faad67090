/* core/dns/record.c -- records as they stand on the wire (RFC 1035 3.3, RFC 2782, RFC 6698, RFC 8659) */
#include <string.h>

#include "core/dns/internal.h"

/* An uncompressed name; *used: its bytes. The root is "". */
static bool read_name(struct slice wire, struct arena *a, struct slice *name, size_t *used)
{
    char *text = arena_alloc(a, DNS_NAME_MAX + 2);
    size_t n = 0, at = 0;
    if (!text)
        return false;
    for (;;) {
        if (at >= wire.n)
            return false;
        size_t label = (unsigned char)wire.p[at++];
        if (label == 0)
            break;
        if (label > DNS_LABEL_MAX || label > wire.n - at || n + label + 1 > DNS_NAME_MAX + 1)
            return false;
        struct slice bytes = slice_make(wire.p + at, label);
        if (memchr(bytes.p, '.', label) || memchr(bytes.p, 0, label))
            return false;
        if (n)
            text[n++] = '.';
        memcpy(text + n, bytes.p, label);
        n += label;
        at += label;
    }
    *name = slice_make(text, n);
    *used = at;
    return n <= DNS_NAME_MAX;
}

static unsigned number_at(struct slice wire, size_t at)
{
    return (unsigned)(unsigned char)wire.p[at] << 8 | (unsigned char)wire.p[at + 1];
}

static bool read_strings(struct slice wire, struct arena *a, struct slice *out)
{
    char *text = arena_alloc(a, wire.n + 1);
    size_t n = 0;
    if (!text || wire.n == 0)
        return false;
    for (size_t at = 0; at < wire.n;) {
        size_t length = (unsigned char)wire.p[at++];
        if (length > wire.n - at)
            return false;
        memcpy(text + n, wire.p + at, length);
        n += length;
        at += length;
    }
    *out = slice_make(text, n);
    return true;
}

static bool read_whole_name(struct slice wire, struct arena *a, struct dns_record *out)
{
    size_t used;
    return read_name(wire, a, &out->data, &used) && used == wire.n;
}

static bool copy(struct slice wire, struct arena *a, struct dns_record *out)
{
    out->data = arena_copy(a, wire);
    return out->data.p != NULL;
}

bool record_read(enum dns_type type, struct slice wire, struct arena *a, struct dns_record *out)
{
    *out = (struct dns_record){0};
    switch (type) {
    case DNS_A:
        return wire.n == 4 && copy(wire, a, out);
    case DNS_AAAA:
        return wire.n == 16 && copy(wire, a, out);
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR:
        return read_whole_name(wire, a, out);
    case DNS_MX:
        if (wire.n < 3)
            return false;
        out->preference = number_at(wire, 0);
        return read_whole_name(slice_after(wire, 2), a, out);
    case DNS_SRV:
        if (wire.n < 7)
            return false;
        out->preference = number_at(wire, 0);
        out->weight = number_at(wire, 2);
        out->port = number_at(wire, 4);
        return read_whole_name(slice_after(wire, 6), a, out);
    case DNS_TXT:
        return read_strings(wire, a, &out->data);
    case DNS_TLSA: /* RFC 6698 2.1: three numbers before the data */
        return wire.n > 3 && copy(wire, a, out);
    case DNS_CAA:
        return wire.n > 2 && copy(wire, a, out);
    }
    return false;
}
