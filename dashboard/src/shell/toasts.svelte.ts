/** Outcomes of what the user did: shown for a while, said once to who listens. What went wrong stays until it is closed. */
import { announcements } from './announcements.svelte.ts';

export type ToastKind = 'ok' | 'warn' | 'fault';
export interface Toast {
  id: number;
  kind: ToastKind;
  text: string;
}

const shownMs = { ok: 6_000, warn: 15_000, fault: null } as const;
const most = 4;

let list: Toast[] = $state.raw([]);
let nextId = 1;

export const toasts = {
  get list(): readonly Toast[] {
    return list;
  },
  say(kind: ToastKind, text: string): void {
    const toast = { id: nextId++, kind, text };
    list = [...list, toast].slice(-most);
    announcements.say(text);
    const ms = shownMs[kind];
    if (ms !== null) setTimeout(() => toasts.close(toast.id), ms);
  },
  close(id: number): void {
    list = list.filter((toast) => toast.id !== id);
  },
};
