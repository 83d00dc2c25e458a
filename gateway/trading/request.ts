/** A command of a script as the actors know it. */
import type { TradeCommand } from '#actors/customer_trading';
import { symbolInstrument } from '#actors/instrument';
import { symbolForm } from '../quotes/mod.ts';
import type { CommandName } from './commands.ts';
import type { ScriptCommand } from './script.ts';

export interface TradeRequest {
  type: TradeCommand;
  /** Without its quote, which the door adds. */
  body: Record<string, unknown>;
}

const types: Record<CommandName, TradeCommand> = {
  ADD: 'trade.add',
  QUOTE: 'trade.quote',
  BUY: 'trade.buy',
  COMMIT_BUY: 'trade.commitBuy',
  CANCEL_BUY: 'trade.cancelBuy',
  SELL: 'trade.sell',
  COMMIT_SELL: 'trade.commitSell',
  CANCEL_SELL: 'trade.cancelSell',
  SET_BUY_AMOUNT: 'trade.setBuyAmount',
  CANCEL_SET_BUY: 'trade.cancelSetBuy',
  SET_BUY_TRIGGER: 'trade.setBuyTrigger',
  SET_SELL_AMOUNT: 'trade.setSellAmount',
  SET_SELL_TRIGGER: 'trade.setSellTrigger',
  CANCEL_SET_SELL: 'trade.cancelSetSell',
  DUMPLOG: 'trade.dumpLog',
  DISPLAY_SUMMARY: 'trade.displaySummary',
};

/** Null: it names no symbol. A summary is asked for without positions, which may be thousands. */
export function requestOf(script: ScriptCommand): TradeRequest | null {
  const { command, transactionNum: txn, user, symbol, amountE5Sek, filename } = script;
  if (symbol !== null && !symbolForm.test(symbol)) return null;
  return {
    type: types[command],
    body: {
      txn,
      ...(symbol !== null && { instrument: symbolInstrument(symbol) }),
      ...(amountE5Sek !== null && { [command.endsWith('_TRIGGER') ? 'priceE5Sek' : 'amountE5Sek']: amountE5Sek }),
      ...((command === 'BUY' || command === 'SELL') && { slot: null }),
      ...(command === 'DUMPLOG' && { file: filename, all: user === null }),
      ...(command === 'DISPLAY_SUMMARY' && { brief: true }),
    },
  };
}
