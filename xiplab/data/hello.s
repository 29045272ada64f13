# The program /bin/hello of the course's image, for Linux on s390x: it writes a greeting, counts its
# own runs in a variable, and exits with the count (always 1: every run has a variable of its own).
#
# One page of instructions and constants, which all guests can share in place, and one page of
# variables, of which each run gets a private copy with its first store.
#
#   s390x-linux-gnu-gcc -nostdlib -static -s -Wl,-z,max-page-size=4096,-z,noseparate-code,--build-id=none \
#       -o hello hello.s

        .section .text
        .globl  _start
_start: lghi    %r2,1                   # standard output
        larl    %r3,greeting
        lghi    %r4,greeting_end-greeting
        svc     4                       # write
        larl    %r1,runs
        lg      %r2,0(%r1)
        aghi    %r2,1
        stg     %r2,0(%r1)              # the first store to this page
        svc     1                       # exit

        .balign 2
greeting:
        .ascii  "Hello from the segment.\n"
greeting_end:
        .balign 2

        .section .data
        .balign 4096
runs:   .quad   0
