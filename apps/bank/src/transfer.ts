/** A transfer between two accounts as a saga: sent from one, received by the other, or given back. */
import { processManager } from '@millrace/eventsourcing';
import { account } from './account.ts';
import { transferProcess } from './contracts.ts';

export const transfer = processManager({
  name: 'transfer',
  from: account.events,
  correlate: (event) => ('transferId' in event ? event.transferId : undefined),
  state: transferProcess,
  initialState: () => ({ step: 'new', from: '', cents: 0 }),

  react(state, input, { id, send }) {
    if (input.kind === 'event' && input.event.type === 'transferSent') {
      const { to, cents } = input.event;
      const deposit = send(account, to, { type: 'receiveTransfer', transferId: id, from: input.from, cents });
      return { state: { step: 'depositing', from: input.from, cents }, actions: [deposit] };
    }
    if (input.kind === 'rejected' && state.step === 'depositing') {
      // The receiver does not exist: the money goes back to where it came from, which cannot refuse it.
      const refund = send(account, state.from, { type: 'refundTransfer', transferId: id, cents: state.cents });
      return { state: { ...state, step: 'refunding' }, actions: [refund] };
    }
    return { state: null }; // received or given back: it is over
  },
});
