/** Addresses of pages that parts lead to; the routes know the parts, so the parts do not know the routes. */

/** Identities of chargers may hold a slash. */
export const chargerPath = (id: string): string => `/monitoring/chargers/${encodeURIComponent(id)}`;
export const chargerMessagesPath = (id: string): string => `${chargerPath(id)}/messages`;
export const stationPath = (id: string): string => `/stations/${encodeURIComponent(id)}`;
