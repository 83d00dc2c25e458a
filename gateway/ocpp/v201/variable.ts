/** Names of settings: `Component.Variable`, `Component@2.Variable` of EVSE 2, `Component.Variable[Instance]`. */

export interface Variable {
  component: { name: string; evse?: { id: number } };
  variable: { name: string; instance?: string };
}

const form = /^([^.@[\]]{1,50})(?:@([1-9]\d{0,3}))?\.([^.@[\]]{1,50})(?:\[([^[\]]{1,50})\])?$/;

/** null: no such name. */
export function variableOf(key: string): Variable | null {
  const [, component, evse, name, instance] = form.exec(key) ?? [];
  if (component === undefined || name === undefined) return null;
  return {
    component: { name: component, ...(evse && { evse: { id: Number(evse) } }) },
    variable: { name, ...(instance && { instance }) },
  };
}
