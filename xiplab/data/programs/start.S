# Where a program begins. The kernel has put on the stack: argc, argv[] and NULL, envp[] and NULL, auxv[].

        .globl  _start
_start: lg      %r2,0(%r15)             # argc
        la      %r3,8(%r15)             # argv
        sllg    %r4,%r2,3
        la      %r4,8(%r4,%r3)          # envp: behind the NULL that ends argv
        aghi    %r15,-160               # main saves its registers in the 160 bytes above its stack
        xc      0(8,%r15),0(%r15)       # nobody called us
        brasl   %r14,main
        svc     248                     # exit_group: main's result is still in r2
        .section .note.GNU-stack,"",@progbits
