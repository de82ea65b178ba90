/** What an account may do (`decide`), and what it then is (`evolve`). Pure: a test needs nothing but this file. */
import { decider, reject } from '@millrace/eventsourcing';
import { accountCommand, accountEvent, accountState } from './contracts.ts';

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
    switch (command.type) {
      case 'deposit':
        return [{ type: 'deposited', cents: command.cents }];
      case 'withdraw':
        if (command.cents > state.cents) return reject('insufficient-funds', `${state.cents} cents are left`);
        return [{ type: 'withdrawn', cents: command.cents }];
      case 'sendTransfer':
        if (command.cents > state.cents) return reject('insufficient-funds', `${state.cents} cents are left`);
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
