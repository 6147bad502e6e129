/*
 * keeper.h -- the thread that does what happens by the clock: polls, tries to connect again, raises
 * the number of connections, gives spare workers folders to watch, moves the WAL; and notices a
 * suspend or a network change.
 */
#ifndef MAILMOUNT_KEEPER_H
#define MAILMOUNT_KEEPER_H

/* The thread's main function; its argument is the account. */
void *keeper_main(void *account);

#endif
