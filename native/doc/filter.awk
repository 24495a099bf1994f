# SPDX-License-Identifier: Apache-2.0
#
# Reads polyshm.h, whose comments are plain, and writes it with the marks that Doxygen asks for:
#
#   the comment at the top       the first page, and that of the file
#   a ruler with a title         a group, with what the top says of threads
#   a comment of its own         text of the group, which the groups after it refer to
#   a comment above              of each declaration up to the next blank line
#   a comment behind             of that member
#   PSHM_... and pshm_...        a link; what there is not makes Doxygen complain
#   a sentence that begins with  the beginning of the list of errors
#     an error's name
#   the table of errors          the enumerators, with their texts

# What Doxygen would take for markup, and what is to become a link.
function marked(text,   out, name) {
    gsub(/[<>]/, "\\\\&", text)
    while (match(text, /(^|[^"A-Za-z0-9_])(PSHM|pshm)_[A-Za-z0-9_]*[A-Za-z0-9]/)) {
        name = substr(text, RSTART, RLENGTH)
        if (name !~ /PSHM_E$/) # "the PSHM_E... codes"
            sub(/(PSHM|pshm)_/, "#&", name)
        out = out substr(text, 1, RSTART - 1) name
        text = substr(text, RSTART + RLENGTH)
    }
    return out text
}

# The lines of `comment` as the inside of a comment for Doxygen.
function inside(   i, line, out, blank, code, errors) {
    for (i = 1; i <= lines; i++) {
        line = comment[i]
        if (code && line !~ /^  /) {
            out = out "@endverbatim\n"
            code = 0
        } else if (!code && blank && line ~ /^  /) {
            out = out " * @verbatim\n"
            code = 1
        }
        blank = line == ""
        if (code) {
            out = out line "\n"
            continue
        }
        line = marked(line)
        if (!errors && (i == 1 || comment[i - 1] ~ /[.]$/))
            errors = sub(/^#PSHM_E/, "\n * @par Errors\n * &", line)
        if (!errors && (errors = match(line, /[.] #PSHM_E/)))
            line = substr(line, 1, RSTART) "\n * @par Errors\n * " substr(line, RSTART + 2)
        out = out " * " line "\n"
    }
    return out (code ? "@endverbatim\n" : "")
}

function flush_comment(kind, end) {
    printf "/**%s\n%s%s */\n", kind, inside(), end
}

# ---- the top ----

!top && /^ \*\// {
    top = 1
    sub(/^polyshm[.]h: /, "", comment[1])
    flush_comment(" @mainpage Polyshm")
    flush_comment(" @file")
    for (i = 1; i <= lines; i++) { # what it says of threads
        if (comment[i] ~ /^- /)
            of_threads = comment[i] ~ /^- Threads[.]/
        if (of_threads)
            threads = threads " * " marked(substr(comment[i], 3)) "\n"
    }
    sub(/Threads[.] */, "", threads)
    next
}
!top {
    if (/^ \*/ && !/^ \*$/ || lines)
        comment[++lines] = substr($0, 4)
    next
}

# ---- groups ----

/^\/\* ---- / {
    title = $0
    gsub(/^\/\* -+ | -+ \*\/$/, "", title)
    group = "polyshm_" title
    gsub(/[^a-z_]+/, "_", group)
    if (groups++)
        print "/** @} */"
    printf "/** @defgroup %s %s\n%s * @par Threads\n%s * @{\n */\n", group, title,
        common ? " * @see @ref " common "\n" : "", threads
    next
}
/^#ifdef __cplusplus/ && groups {
    print "/** @} */"
}

# ---- comments above ----

/^\/\*/ {
    lines = 0
    reading = 1
}
reading {
    line = $0
    last = sub(/ *\*\/$/, "", line)
    sub(/^(\/\*| \*) ?/, "", line)
    if (line != "" || !last)
        comment[++lines] = line
    if (last) {
        reading = 0
        pending = 1
    }
    next
}
/^$/ {
    if (pending) {
        print "/** @} */"
        flush_comment(" @addtogroup " group, " * @{\n")
        common = group
    }
    pending = shared = 0
}
pending || (shared && /^(PSHM_API|typedef)/) {
    flush_comment("")
    pending = 0
    shared = 1
}

# ---- the table of errors ----

/^ *X\(PSHM_/ {
    split($0, field, /[(),]/)
    text = $0
    gsub(/^[^"]*"|"[^"]*$/, "", text)
    table = table "    " field[2] " =" field[3] ", /**< " text " */\n"
}
/PSHM_ERRORS\(PSHM__ENUMERATE\)/ {
    printf "%s", table
    next
}
/PSHM__ENUMERATE/ {
    next
}

# ---- comments behind ----

{
    if (match($0, /[^ ] +\/\* /)) {
        behind = substr($0, RSTART + RLENGTH)
        gsub(/  +/, "; ", behind) # columns
        $0 = substr($0, 1, RSTART + RLENGTH - 2) "*< " marked(behind)
        sub(/\\>/, ">")
    }
    print
}
