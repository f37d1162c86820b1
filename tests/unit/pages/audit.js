// What is looked for in an open page. It refuses to know which page it is. Each function returns
// what is wrong: an empty list where nothing is.
globalThis.audit = {
  // Elements that stick out at a side, and a page that can be pushed sideways.
  sticksOut() {
    const found = [...document.querySelectorAll('body *')].filter(one => {
      const box = one.getBoundingClientRect();
      const scrolls = one.closest('.scroll, pre');
      return box.width && one.checkVisibility() && !one.closest('svg, .unseen') &&
        (!scrolls || scrolls === one) && (box.right > innerWidth + 1 || box.left < -1);
    }).map(audit.start);
    const wide = document.documentElement.scrollWidth;
    return wide > innerWidth ? [`${wide} px of ${innerWidth}`, ...found] : found;
  },

  // Elements and attributes that could run or fetch something.
  runsOrFetches() {
    const tags = ['script', 'img', 'iframe', 'object', 'embed', 'link', 'base', 'form', 'a'];
    const reaching = ['src', 'href', 'action', 'xlink:href'];
    const found = [...document.querySelectorAll('*')].flatMap(one => {
      const tag = one.tagName.toLowerCase();
      const isOurs = tag === 'a' && /^(#[\w-]+|evaluation\.html)$/.test(one.getAttribute('href'));
      if (isOurs) return [];
      const attributes = [...one.attributes].filter(each =>
        each.name.startsWith('on') || each.name === 'style' || reaching.includes(each.name));
      return tags.includes(tag) || attributes.length ? [audit.start(one)] : [];
    });
    return window.hacked === undefined ? found : [...found, 'a script ran'];
  },

  // Texts with less contrast than 4.5 to 1 (WCAG 2.2, 1.4.3), or smaller than 11.5 px.
  isHardToRead() {
    const found = new Set();
    for (const one of document.querySelectorAll('body *')) {
      if (![...one.childNodes].some(each => each.nodeType === 3 && each.data.trim())) continue;
      const style = getComputedStyle(one);
      const own = audit.light(audit.colour(one.closest('svg') ? style.fill : style.color));
      const pair = [own, audit.light(audit.ground(one))];
      const ratio = (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
      const name = `${one.tagName} ${one.getAttribute('class')}`;
      if (ratio < 4.5) found.add(`${name}: contrast ${ratio.toFixed(2)}`);
      if (parseFloat(style.fontSize) < 11.5) found.add(`${name}: ${style.fontSize}`);
    }
    return [...found];
  },

  // Headings that jump, tables without headers, pictures without words or size, dead links.
  lacksAName() {
    const all = selector => [...document.querySelectorAll(selector)];
    const levels = all('h1, h2, h3').map(one => Number(one.tagName[1]));
    const pictures = all('svg').filter(one => !one.parentElement.closest('svg'));
    return [
      ...(all('h1').length === 1 ? [] : ['not one h1']),
      ...levels.filter((level, place) => place && level > levels[place - 1] + 1),
      ...all('table').filter(one => !one.querySelector('th[scope]')).map(audit.start),
      ...pictures.filter(one => !one.closest('[aria-hidden]') && !one.getAttribute('aria-label'))
        .map(audit.start),
      ...pictures.filter(one => one.checkVisibility() && one.getBoundingClientRect().width < 8)
        .map(audit.start),
      ...all('a[href^="#"]').filter(one => !document.getElementById(one.hash.slice(1)))
        .map(audit.start),
    ];
  },

  titles() {
    return [...document.querySelectorAll('h1, h2')].map(one => one.textContent.trim());
  },

  standings() {
    return [...document.querySelectorAll('.browse .row')].filter(one => one.checkVisibility())
      .map(one => one.querySelector('.standing').textContent);
  },

  start(one) { return one.outerHTML.slice(0, 140); },

  colour(text) {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return {r, g, b, a};
  },

  ground(one) {
    for (let each = one; each; each = each.parentElement) {
      const colour = audit.colour(getComputedStyle(each).backgroundColor);
      if (colour.a === 1) return colour;
    }
    return {r: 255, g: 255, b: 255};
  },

  // Relative luminance, as WCAG defines it.
  light({r, g, b}) {
    return [r, g, b].map(each => each / 255)
      .map(each => each <= .04045 ? each / 12.92 : ((each + .055) / 1.055) ** 2.4)
      .reduce((sum, each, place) => sum + each * [.2126, .7152, .0722][place], 0);
  },
};
