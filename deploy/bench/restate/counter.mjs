/** A virtual object: reads its state, adds, writes it, replies. Runs beside the server, where its SDK is installed. */
// The SDK asks for a newer Node for this alone.
Promise.withResolvers ??= () => {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};
const { object, serve } = await import('@restatedev/restate-sdk');

const counter = object({
  name: 'Counter',
  handlers: {
    add: async (ctx, amount) => {
      const value = ((await ctx.get('value')) ?? 0) + amount;
      ctx.set('value', value);
      return value;
    },
  },
});

const port = await serve({ services: [counter], port: Number(process.argv[2]) });
process.stdout.write(`ready ${port}\n`);
