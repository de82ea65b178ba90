/** What an account may do (`decide`), and what it then is (`evolve`). Pure: a test needs nothing but this file. */
import { decider, reject } from '@millrace/eventsourcing';
import { accountCommand, accountEvent, accountState } from './contracts.ts';

/** Of one command, and what deposits may bring an account to: far from 2^53, which money coming back may not reach either. */
export const maxCents = 10 ** 13;

export const account = decider({
  name: 'account',
  command: accountCommand,
  event: accountEvent,
  state: accountState,
  stateVersion: 1,

  initialState: () => ({ isOpen: false, owner: '', cents: 0 }),

  decide(state, command, { id }) {
    if (command.type === 'open') {
      return state.isOpen ? reject('already-open') : [{ type: 'opened', owner: command.owner }];
    }
    if (!state.isOpen) return reject('no-such-account');
    const { cents } = command;
    // HTTP has looked at it, but commands come from other programs too.
    if (!Number.isInteger(cents) || cents < 1 || cents > maxCents) return reject('invalid-amount');
    const brings = command.type === 'deposit' || command.type === 'receiveTransfer';
    if (brings && state.cents + cents > maxCents) return reject('limit-exceeded', `${maxCents} cents at most`);
    switch (command.type) {
      case 'deposit':
        return [{ type: 'deposited', cents }];
      case 'withdraw':
        if (cents > state.cents) return reject('insufficient-funds', `${state.cents} cents are left`);
        return [{ type: 'withdrawn', cents }];
      case 'sendTransfer':
        if (cents > state.cents) return reject('insufficient-funds', `${state.cents} cents are left`);
        return [{ ...command, type: 'transferSent', from: id }];
      case 'receiveTransfer':
        return [{ ...command, type: 'transferReceived' }];
      case 'refundTransfer':
        return [{ ...command, type: 'transferRefunded' }];
    }
  },

  evolve(state, event) {
    switch (event.type) {
      case 'opened':
        return { isOpen: true, owner: event.owner, cents: 0 };
      case 'deposited':
      case 'transferReceived':
      case 'transferRefunded':
        return { ...state, cents: state.cents + event.cents };
      case 'withdrawn':
      case 'transferSent':
        return { ...state, cents: state.cents - event.cents };
    }
  },
});
